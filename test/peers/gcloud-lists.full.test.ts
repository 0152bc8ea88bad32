// gcloud's lists and filters: what it sends for them is not what was typed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guideRequests } from '../../src/controller/api/test-api.ts'
import { noGcloud, withGcloud } from './gcloud.ts'

/** Every list of gcloud that asks the API of Compute Engine and needs no more than a project. */
const LISTS: readonly string[] = `
accelerator-types, addresses, backend-buckets, backend-services, commitments, disk-types, disks, external-vpn-gateways,
firewall-rules, forwarding-rules, health-checks, http-health-checks, https-health-checks, images --no-standard-images,
instance-groups, instance-groups managed, instance-groups unmanaged, instance-templates, instances, instant-snapshots,
interconnects, interconnects attachments, interconnects attachments groups, interconnects groups,
interconnects locations, interconnects remote-locations, machine-images, machine-types, network-attachments,
network-edge-security-services, network-endpoint-groups, network-firewall-policies, network-profiles, networks,
networks peerings, networks subnets, operations, packet-mirrorings, public-advertised-prefixes,
public-delegated-prefixes, regions, reservations, resource-policies, routers, routes, security-policies,
service-attachments, snapshots, sole-tenancy node-groups, sole-tenancy node-templates, sole-tenancy node-types,
ssl-certificates, ssl-policies, storage-pool-types, storage-pools, target-grpc-proxies, target-http-proxies,
target-https-proxies, target-instances, target-pools, target-ssl-proxies, target-tcp-proxies, target-vpn-gateways,
url-maps, vpn-gateways, vpn-tunnels, zones`
  .split(',')
  .map((list) => list.trim())

test('each list of gcloud succeeds', { skip: noGcloud }, async () => {
  await withGcloud(async (gcloud) => {
    const failed: string[] = []
    for (const list of LISTS) {
      const [command, ...flags] = list.split(' --')
      const { status, stderr } = await gcloud.run(...command.split(' '), 'list', ...flags.map((flag) => `--${flag}`))
      if (status !== 0) failed.push(`${list}: ${stderr}`)
    }
    assert.deepEqual(failed, [])
  })
})

/** Of the guide's resources, what each list finds by a filter and where it is looked for. */
const FOUND: readonly (readonly [list: string, flags: readonly string[], names: string])[] = [
  ['instances', ['--filter=tags.items=tcp-lb'], 'my-backend'],
  ['instances', ['--filter=networkInterfaces[0].networkIP=10.128.0.2'], 'my-backend'],
  ['instances', ['--filter=zone:us-central1-b AND status=RUNNING'], 'my-backend'],
  ['instances', ['--zones=us-central1-c'], ''],
  ['disks', ['--filter=sizeGb=10', '--zones=us-central1-b'], 'my-backend'],
  ['instance-groups', ['--filter=size>0', '--zones=us-central1-b'], 'my-instance-group'],
  ['instance-groups', ['--only-managed'], ''],
  ['instance-groups unmanaged', ['--filter=name~^my'], 'my-instance-group'],
  ['health-checks', ['--protocol=TCP', '--global'], 'my-tcp-health-check'],
  ['health-checks', ['--filter=type=TCP AND tcpHealthCheck.port=110'], 'my-tcp-health-check'],
  ['health-checks', ['--regions=us-central1'], 'regional'],
  ['backend-services', ['--filter=protocol=TCP AND timeoutSec>=300', '--global'], 'my-tcp-lb'],
  ['backend-services', ['--filter=backends.group~my-instance-group'], 'my-tcp-lb'],
  ['backend-services', ['--filter=healthChecks~none'], ''],
  ['target-tcp-proxies', ['--filter=proxyHeader=PROXY_V1'], 'my-tcp-lb-target-proxy'],
  ['target-tcp-proxies', ['--filter=service~my-tcp-lb$', '--global'], 'my-tcp-lb-target-proxy'],
  ['addresses', ['--filter=status=RESERVED', '--global'], ''],
  ['addresses', ['--filter=status=IN_USE AND address=203.0.113.10'], 'lb-static-ipv4'],
  ['addresses', ['--regions=us-central1', '--sort-by=~name'], 'regional'],
  ['forwarding-rules', ['--filter=IPProtocol=TCP AND portRange=110-110'], 'my-tcp-lb-ipv4-forwarding-rule'],
  ['forwarding-rules', ['--filter=target~my-tcp-lb-target-proxy', '--global'], 'my-tcp-lb-ipv4-forwarding-rule'],
  ['forwarding-rules', ['--regions=us-central1'], ''],
  ['zones', ['--filter=region~us-east1', '--limit=1'], 'us-east1-b'],
  ['regions', ['--filter=name=us-central1'], 'us-central1'],
  ['machine-types', ['--filter=guestCpus=2 AND name~^e2', '--zones=us-central1-b'], 'e2-standard-2'],
  ['disk-types', ['--filter=name=pd-ssd', '--zones=us-central1-b'], 'pd-ssd'],
]

test('each list finds by filter and place what there is of the guide', { skip: noGcloud }, async () => {
  await withGcloud(async (gcloud, { url }) => {
    const post = async (path: string, body: unknown) => {
      const request = { method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }
      const { status } = await fetch(`${url}/compute/v1/projects/p/${path}`, request)
      assert.equal(status, 200, path)
    }
    for (const [path, body] of guideRequests) {
      await post(path, 'IPAddress' in body ? { ...body, IPAddress: 'global/addresses/lb-static-ipv4' } : body)
    }
    await post('regions/us-central1/addresses', { name: 'regional' })
    await post('regions/us-central1/healthChecks', { name: 'regional', type: 'SSL', sslHealthCheck: {} })
    const wrong: string[] = []
    for (const [list, flags, names] of FOUND) {
      const { stdout, stderr } = await gcloud.run(...list.split(' '), 'list', ...flags, '--format=value(name)')
      const found = stdout.trim().split('\n').join(' ')
      if (found !== names) wrong.push(`${list} ${flags.join(' ')}: ${found} ${stderr}`)
    }
    assert.deepEqual(wrong, [])
  })
})

/** What of `fw1`, `fw-2` and `other`, with the priorities 1000, 5 and 1000, each filter takes. */
const FILTERS: readonly (readonly [filter: string, names: string])[] = [
  ['name=fw1', 'fw1'],
  ['name:fw*', 'fw-2 fw1'],
  ['name~^fw.*[0-9]$', 'fw-2 fw1'],
  ['name~"fw\\-2"', 'fw-2'],
  ['name!~fw', 'other'],
  ['name=fw-2', 'fw-2'],
  ['-name=fw1', 'fw-2 other'],
  ['NOT name:fw1', 'fw-2 other'],
  ['name=(fw1,other)', 'fw1 other'],
  ['name=fw1 OR priority=5', 'fw-2 fw1'],
  ['name~fw AND priority=1000 AND disabled=false', 'fw1'],
  ['priority=1000.0', 'fw1 other'],
  ['priority<1000', 'fw-2'],
  ['direction=INGRESS', 'fw-2 fw1 other'],
  ['network=default', 'fw-2 fw1 other'],
  ['network~default$', 'fw-2 fw1 other'],
  ['description="A (B) C"', 'fw1'],
  ['description:"it\'s 5"', 'fw-2'],
  ['creationTimestamp>2026-01-01', 'fw-2 fw1 other'],
  ['creationTimestamp<2026-01-01', ''],
]

test('each filter of gcloud takes what it says', { skip: noGcloud }, async () => {
  await withGcloud(async (gcloud) => {
    const allow = ['--allow', 'tcp:110']
    await gcloud.succeed('firewall-rules', 'create', 'fw1', ...allow, '--description', 'A (B) C')
    await gcloud.succeed('firewall-rules', 'create', 'fw-2', ...allow, '--priority', '5', '--description', "it's 5")
    await gcloud.succeed('firewall-rules', 'create', 'other', ...allow)
    for (const [filter, names] of FILTERS) {
      const { status, stdout, stderr } = await gcloud.run(
        'firewall-rules',
        'list',
        `--filter=${filter}`,
        '--format=value(name)',
      )
      assert.equal(status, 0, `${filter}: ${stderr}`)
      assert.deepEqual(stdout.trim().split('\n').sort().join(' '), names, filter)
    }
    const zones = await gcloud.run('zones', 'list', '--filter=region:us-east1', '--format=value(name)')
    assert.deepEqual(zones.stdout.trim().split('\n'), ['us-east1-b', 'us-east1-c', 'us-east1-d'])
  })
})
