import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Mapping } from '../../compute/json-value.ts'
import { TestApi } from '../api/test-api.ts'

const BASE = 'http://h/compute/v1/projects/p'

async function namesIn(api: TestApi, path: string): Promise<readonly string[]> {
  const { items = [] } = await api.get(path)
  return (items as readonly Mapping[]).map(({ name }) => String(name))
}

test('zones are those that guides name, and those that something of the project is in, in order', async () => {
  const api = new TestApi({ projects: ['p', 'q'] })
  const before = await namesIn(api, 'zones')
  assert.ok(before.includes('us-central1-b') && before.includes('europe-west1-d'))
  assert.deepEqual(before, [...before].sort())
  await api.change('POST', 'zones/rack1-a/instances', { name: 'vm' })
  await api.change('POST', 'zones/us-central1-b/instances', { name: 'vm' })
  assert.deepEqual(await namesIn(api, 'zones'), [...before, 'rack1-a'].sort())
  const { items } = await api.get('/compute/v1/projects/q/zones')
  assert.equal((items as readonly unknown[]).length, before.length, 'another project is somewhere else')
})

test('regions are those of the zones, and name them', async () => {
  const api = new TestApi()
  await api.change('POST', 'zones/rack1-a/instances', { name: 'vm' })
  const zones = await namesIn(api, 'zones')
  assert.deepEqual(await namesIn(api, 'regions'), [...new Set(zones.map((zone) => zone.slice(0, -2)))].sort())
  const region = await api.get('regions/us-central1')
  assert.deepEqual(
    region.zones,
    ['a', 'b', 'c', 'f'].map((letter) => `${BASE}/zones/us-central1-${letter}`),
  )
  assert.deepEqual(
    [region.kind, region.name, region.status, region.selfLink],
    ['compute#region', 'us-central1', 'UP', `${BASE}/regions/us-central1`],
  )
})

test('a place has a kind, an id that is always the same, and links; every possible zone is there', async () => {
  const api = new TestApi()
  const zone = await api.get('zones/nowhere1-x')
  assert.deepEqual(
    [zone.kind, zone.name, zone.status, zone.region, zone.selfLink],
    ['compute#zone', 'nowhere1-x', 'UP', `${BASE}/regions/nowhere1`, `${BASE}/zones/nowhere1-x`],
  )
  assert.match(String(zone.id), /^[1-9][0-9]*$/)
  assert.equal((await new TestApi().get('zones/nowhere1-x')).id, zone.id)
  assert.notEqual((await api.get('zones/nowhere1-y')).id, zone.id)
  for (const path of ['zones/A_B', 'global/networks/other', 'zones/us-central1-b/instanceGroupManagers/g']) {
    assert.match(await api.refusal('GET', path), /^404 notFound/, path)
  }
})

test('there is one network, and no group that is managed', async () => {
  const api = new TestApi()
  assert.deepEqual(await namesIn(api, 'global/networks'), ['default'])
  const network = await api.get('global/networks/default')
  assert.deepEqual(
    [network.kind, network.selfLink, network.autoCreateSubnetworks, network.mtu],
    ['compute#network', `${BASE}/global/networks/default`, true, 1500],
  )
  assert.deepEqual(await namesIn(api, 'zones/us-central1-b/instanceGroupManagers'), [])
})

test('a machine type has the processors of its name, and a zone', async () => {
  const api = new TestApi()
  const types = 'zones/us-central1-b/machineTypes'
  assert.ok((await namesIn(api, types)).includes('n1-standard-1'))
  for (const [name, cpus] of [
    ['n1-standard-16', 16],
    ['e2-medium', 1],
  ] as const) {
    const { kind, guestCpus, memoryMb, zone, selfLink, isSharedCpu } = await api.get(`${types}/${name}`)
    assert.deepEqual(
      [kind, guestCpus, memoryMb, zone, selfLink, isSharedCpu],
      ['compute#machineType', cpus, cpus * 3_840, 'us-central1-b', `${BASE}/${types}/${name}`, false],
    )
  }
})

test('a disk type is found by its name, in a zone and in a region', async () => {
  const api = new TestApi()
  const place = 'zones/us-central1-b'
  assert.deepEqual(await namesIn(api, `${place}/diskTypes`), ['local-ssd', 'pd-balanced', 'pd-ssd', 'pd-standard'])
  const { kind, name, zone, selfLink } = await api.get(`${place}/diskTypes/pd-standard`)
  const path = `${BASE}/${place}/diskTypes/pd-standard`
  assert.deepEqual([kind, name, zone, selfLink], ['compute#diskType', 'pd-standard', `${BASE}/${place}`, path])
  const regional = await api.get('regions/us-central1/diskTypes')
  const [first] = regional.items as readonly Mapping[]
  assert.deepEqual([regional.kind, first.region], ['compute#regionDiskTypeList', `${BASE}/regions/us-central1`])
})

test('the disks that instances name are found, with their users, as long as there are the instances', async () => {
  const api = new TestApi()
  const place = 'zones/us-central1-b'
  const boot = { boot: true, initializeParams: { sourceImage: 'http://h/debian-12', diskSizeGb: '20' } }
  await api.change('POST', `${place}/instances`, { name: 'vm', disks: [boot, { source: `${place}/disks/data` }] })
  await api.change('POST', `${place}/instances`, { name: 'other', disks: [{ source: `${place}/disks/data` }] })
  assert.deepEqual(await namesIn(api, `${place}/disks`), ['data', 'vm'])
  assert.deepEqual(await namesIn(api, 'zones/us-central1-c/disks'), [])
  const { disks } = await api.get(`${place}/instances/vm`)
  const path = `${BASE}/${place}/disks/vm`
  assert.deepEqual((disks as readonly Mapping[])[0].source, path)
  const { id, creationTimestamp, ...disk } = await api.get(`${place}/disks/vm`)
  assert.match(`${id} ${creationTimestamp}`, /^[0-9]+ 2026-/)
  assert.deepEqual(disk, {
    kind: 'compute#disk',
    name: 'vm',
    sizeGb: '20',
    status: 'READY',
    sourceImage: 'http://h/debian-12',
    type: `${BASE}/${place}/diskTypes/pd-standard`,
    users: [`${BASE}/${place}/instances/vm`],
    zone: `${BASE}/${place}`,
    selfLink: path,
  })
  const { users } = await api.get(`${place}/disks/data`)
  assert.deepEqual(
    users,
    ['other', 'vm'].map((name) => `${BASE}/${place}/instances/${name}`),
  )
  const { items } = await api.get('aggregated/disks')
  assert.deepEqual((items as Mapping)[place], { disks: (await api.get(`${place}/disks`)).items })
  await api.change('DELETE', `${place}/instances/vm`)
  assert.deepEqual(await namesIn(api, `${place}/disks`), ['data'])
  assert.match(await api.refusal('GET', `${place}/disks/vm`), /^404 notFound/)
  assert.match(await api.refusal('POST', `${place}/disks`, { name: 'new' }), /^501 notImplemented/)
})

test('an image is found by its name and by its family', async () => {
  const api = new TestApi()
  const image = await api.get('global/images/debian-12')
  assert.deepEqual(
    [image.kind, image.status, image.selfLink, image.diskSizeGb],
    ['compute#image', 'READY', `${BASE}/global/images/debian-12`, '10'],
  )
  assert.equal((await api.get('global/images/family/debian-12')).family, 'debian-12')
  const view = await api.get('zones/-/imageFamilyViews/debian-12')
  const viewed = view.image as Mapping
  assert.deepEqual([viewed.kind, viewed.family, viewed.selfLink], ['compute#image', 'debian-12', image.selfLink])
})

test('a list over all scopes names each that there is', async () => {
  const api = new TestApi()
  const scopes = async (path: string) => Object.keys((await api.get(path)).items as Mapping)
  const zones = (await namesIn(api, 'zones')).map((zone) => `zones/${zone}`)
  const regions = (await namesIn(api, 'regions')).map((region) => `regions/${region}`)
  assert.deepEqual(await scopes('aggregated/instances?includeAllScopes=true'), zones)
  assert.deepEqual(await scopes('aggregated/addresses?includeAllScopes=true'), ['global', ...regions])
})
