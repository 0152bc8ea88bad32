import assert from 'node:assert/strict'
import { test } from 'node:test'
import { socketOf } from '../../snapshot/socket-of.ts'
import { testBackend, testFrontend, testGroup, testService, testSnapshot } from '../../snapshot/test-snapshot.ts'
import { BackendTable, FRONTENDS_MAX } from '../balance/backend-table.ts'
import { backendsNamed, placedBackends, releaseIds, takeIds } from './edge-ids.ts'

const FRONTEND = testFrontend()

function snapshotWith(address: string) {
  const group = testGroup({ backends: [testBackend({ address })] })
  return testSnapshot([FRONTEND], [testService({ groups: [group] })])
}

test('a frontend keeps its id when its rule is renamed; a backend that moves to another address gets another one', () => {
  const table = new BackendTable(1)
  const before = snapshotWith('10.128.0.2')
  takeIds(table, before)
  const ids = [table.frontends.idOf(socketOf(FRONTEND)), table.backends.idOf(placedBackends(before)[0].idKey)]
  const after = { ...snapshotWith('10.128.0.3'), frontends: [{ ...FRONTEND, name: 'renamed' }] }
  takeIds(table, after)
  assert.equal(table.frontends.idOf(socketOf(after.frontends[0])), ids[0])
  assert.notEqual(table.backends.idOf(placedBackends(after)[0].idKey), ids[1])
})

test('what was taken for a configuration that cannot be applied is given back, and only that', () => {
  const table = new BackendTable(1)
  const before = snapshotWith('10.128.0.2')
  takeIds(table, before)
  const after = snapshotWith('10.128.0.3')
  const takeBack = takeIds(table, after)
  takeBack()
  assert.equal(table.backends.idOf(placedBackends(after)[0].idKey), undefined)
  assert.notEqual(table.backends.idOf(placedBackends(before)[0].idKey), undefined)
  releaseIds(table, before, testSnapshot([], []))
  assert.equal(table.frontends.idOf(socketOf(FRONTEND)), undefined)
})

test('more frontends than there can be are an error that leaves nothing taken', () => {
  const table = new BackendTable(1)
  const frontends = Array.from({ length: FRONTENDS_MAX + 1 }, (_, index) => testFrontend({ port: index + 1 }))
  assert.throws(() => takeIds(table, testSnapshot(frontends, [])), /more than 4096 frontends; spread them/)
  assert.equal(table.frontends.idOf(socketOf(frontends[0])), undefined)
})

test('an operator names a backend by its key, its own name or its address, and by an address all that have it', () => {
  const group = testGroup({
    name: 'us-central1-b/g',
    backends: [
      testBackend({ name: 'my-backend', address: '10.128.0.3', port: 110 }),
      testBackend({ name: '10.128.0.3:110', address: '2001:db8::1', port: 110 }),
      testBackend({ name: 'other', address: '2001:db8::1', port: 111 }),
    ],
  })
  const backends = placedBackends(testSnapshot([], [testService({ name: 's', groups: [group] })]))
  const found = (name: string): string[] => backendsNamed(backends, name).map(({ backend }) => backend.name)
  assert.deepEqual(found('s/us-central1-b/g/other'), ['other'])
  assert.deepEqual(found('my-backend'), ['my-backend'])
  assert.deepEqual(found('10.128.0.3:110'), ['10.128.0.3:110'], 'a name comes before an address')
  assert.deepEqual(found('[2001:DB8:0::1]:111'), ['other'])
  const twice = [...backends, ...backends]
  assert.equal(backendsNamed(twice, '[2001:db8::1]:111').length, 2)
  assert.deepEqual([found('10.128.0.9:110'), found('nobody')], [[], []])
})
