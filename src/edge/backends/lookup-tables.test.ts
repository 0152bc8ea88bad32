import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testBackend, testGroup, testService } from '../../snapshot/test-snapshot.ts'
import { LookupTables } from './lookup-tables.ts'
import { localityPolicy } from './service-view.ts'

const group = testGroup({ backends: ['a', 'b'].map((name) => testBackend({ name })) })
const ring = (minimumRingSize: number) =>
  testService({ groups: [group], locality: { kind: 'RING_HASH', minimumRingSize } })
const maglev = testService({ groups: [group], locality: { kind: 'MAGLEV' } })

test('a table is as its policy wants it, and one for all groups with the same members', async () => {
  const tables = new LookupTables()
  const services = [ring(64), ring(256), maglev]
  await tables.prepare({ services })
  const [small, large, slots] = services.map((service) => tables.of(group, localityPolicy(service)))
  assert.equal(small.kind === 'ring' && small.points.length, 64)
  assert.equal(large.kind === 'ring' && large.points.length, 256)
  assert.equal(slots.kind, 'maglev')
  const twin = testGroup({ name: 'us-central1-c/twin', backends: group.backends })
  assert.equal(tables.of(twin, localityPolicy(maglev)), slots)
  assert.notEqual(tables.of(testGroup({ backends: [testBackend({ name: 'c' })] }), localityPolicy(maglev)), slots)
  assert.equal(tables.of(group, localityPolicy(testService())).kind, 'none')
})

test('tables that a snapshot does not need are forgotten, and those that it needs are not built again', () => {
  const tables = new LookupTables()
  const [kept, gone] = [maglev, ring(64)].map((service) => tables.of(group, localityPolicy(service)))
  tables.keepOnly({ services: [maglev] })
  assert.equal(tables.of(group, localityPolicy(maglev)), kept)
  assert.notEqual(tables.of(group, localityPolicy(ring(64))), gone)
})
