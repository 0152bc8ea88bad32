import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '../model/api-error.ts'
import { routeOf } from './route.ts'

for (const [http, path, id, scope, name] of [
  ['GET', '', 'projects.get', 'global', ''],
  ['POST', '/setCommonInstanceMetadata', 'projects.setCommonInstanceMetadata', 'global', ''],
  ['GET', '/aggregated/instances', 'instances.aggregatedList', '', ''],
  ['GET', '/zones', 'zones.list', 'global', ''],
  ['GET', '/zones/us-central1-b', 'zones.get', 'global', 'us-central1-b'],
  ['GET', '/regions/us-central1', 'regions.get', 'global', 'us-central1'],
  ['GET', '/global/healthChecks', 'healthChecks.list', 'global', ''],
  ['POST', '/regions/r1/healthChecks', 'healthChecks.insert', 'regions/r1', ''],
  ['GET', '/global/healthChecks/hc', 'healthChecks.get', 'global', 'hc'],
  ['PATCH', '/global/healthChecks/hc', 'healthChecks.patch', 'global', 'hc'],
  ['PUT', '/global/healthChecks/hc', 'healthChecks.update', 'global', 'hc'],
  ['DELETE', '/global/healthChecks/hc/', 'healthChecks.delete', 'global', 'hc'],
  ['POST', '/zones/z1-a/instances/vm/start', 'instances.start', 'zones/z1-a', 'vm'],
  ['GET', '/zones/z1-a/instances/vm/serialPort', 'instances.getSerialPortOutput', 'zones/z1-a', 'vm'],
  ['GET', '/global/backendServices/listUsable', 'backendServices.listUsable', 'global', ''],
  ['POST', '/global/backendServices/s/getHealth', 'backendServices.getHealth', 'global', 's'],
  ['GET', '/global/images/family/debian-12', 'images.getFromFamily', 'global', 'debian-12'],
  ['GET', '/zones/-/imageFamilyViews/debian-12', 'imageFamilyViews.get', 'zones/-', 'debian-12'],
  ['POST', '/zones/z1-a/operations/o/wait', 'operations.wait', 'zones/z1-a', 'o'],
  ['GET', '/global/healthChecks/a%2Fb', 'healthChecks.get', 'global', 'a/b'],
] as const) {
  test(`${http} ${path} is ${id}`, () => {
    const route = routeOf(http, `/compute/v1/projects/p${path}`)
    assert.deepEqual([route.method.id, route.project, route.scope, route.name], [id, 'p', scope, name])
  })
}

for (const [http, path] of [
  ['POST', '/zones/z1-a/instances/vm/suspend'],
  ['POST', '/zones/z1-a/instances/bulkInsert'],
  ['GET', '/zones/z1-a/instances/vm/getIamPolicy'],
  ['POST', '/zones/z1-a/disks'],
  ['DELETE', '/global/urlMaps/m'],
  ['PATCH', '/regions/r1/subnetworks/s'],
  ['POST', '/zones/z1-a/disks/d/resize'],
  ['POST', '/global/networks'],
  ['DELETE', '/global/networks/default'],
  ['POST', '/zones/z1-a/instanceGroupManagers'],
  ['POST', '/zones/z1-a/instanceGroupManagers/g/resize'],
  ['POST', '/regions/r1/networkEndpointGroups'],
  ['GET', '/getXpnHost'],
  ['POST', '/moveInstance'],
  ['GET', '/aggregated/subnetworks/listUsable'],
  ['POST', '/global/backendServices/s/setEdgeSecurityPolicy'],
] as const) {
  test(`${http} ${path} is a method of Compute Engine that is not supported`, () => {
    assert.throws(
      () => routeOf(http, `/compute/v1/projects/p${path}`),
      (error) => error instanceof ApiError && error.status === 501 && /is not supported here/.test(error.message),
    )
  })
}

for (const [status, http, path] of [
  [404, 'GET', '/compute/v2/projects/p/zones'],
  [404, 'GET', '/projects/p/zones'],
  [404, 'GET', '/compute/v1/projects/'],
  [404, 'GET', '/compute/v1/projects/P/zones'],
  [404, 'GET', '/compute/v1/projects/../zones'],
  [404, 'GET', `/compute/v1/projects/${'p'.repeat(101)}/zones`],
  [404, 'GET', '/compute/v1/projects/p/global'],
  [404, 'GET', '/compute/v1/projects/p/global/unknown'],
  [404, 'GET', '/compute/v1/projects/p/elsewhere/healthChecks/hc'],
  [404, 'GET', '/compute/v1/projects/p/aggregated/instances/x'],
  [404, 'GET', '/compute/v1/projects/p/zones/z1-a/healthChecks'],
  [404, 'GET', '/compute/v1/projects/p/global/instances'],
  [404, 'POST', '/compute/v1/projects/p/zones/z1-a/instances/vm/explode'],
  [404, 'POST', '/compute/v1/projects/p/zones/z1-a/instances/vm/start/now'],
  [404, 'GET', '/compute/v1/projects/p/global/healthChecks/%zz'],
  [405, 'PUT', '/compute/v1/projects/p/global/healthChecks'],
  [405, 'POST', '/compute/v1/projects/p/zones'],
  [405, 'GET', '/compute/v1/projects/p/zones/z1-a/instances/vm/start'],
  [405, 'PATCH', '/compute/v1/projects/p/global/targetTcpProxies/t'],
] as const) {
  test(`${http} ${path.slice(0, 70)} is ${status}`, () => {
    const reason = status === 404 ? 'notFound' : 'httpMethodNotAllowed'
    assert.throws(
      () => routeOf(http, path),
      (error) => error instanceof ApiError && error.status === status && error.details[0]?.reason === reason,
    )
  })
}

for (const [path, says] of [
  [
    'zones/US-CENTRAL1-B/instances',
    /^Invalid value for field 'zone': 'US-CENTRAL1-B'\. Unknown zone\. .*us-central1-b$/,
  ],
  ['zones/-/instances', /^Invalid value for field 'zone': '-'\. Unknown zone\./],
  ['zones//instances', /^Invalid value for field 'zone': ''\. Unknown zone\./],
  [`zones/${'z'.repeat(64)}/instances/vm/start`, /^Invalid value for field 'zone': 'z{64}'\. .* up to 63 /],
  ['regions/a%2Fb/healthChecks/hc', /^Invalid value for field 'region': 'a\/b'\. Unknown region\. .*us-central1$/],
] as const) {
  test(`${path.slice(0, 40)} has a zone or a region of an impossible name, and that is said`, () => {
    assert.throws(
      () => routeOf('POST', `/compute/v1/projects/p/${path}`),
      (error) => error instanceof ApiError && error.status === 400 && says.test(error.message),
    )
  })
}

test('of what a stranger sends, only a part is repeated', () => {
  assert.throws(
    () => routeOf('GET', `/compute/v1/projects/${'x'.repeat(100_000)}`),
    (error) => error instanceof ApiError && error.message.length < 500,
  )
})
