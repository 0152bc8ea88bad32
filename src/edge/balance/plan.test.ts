import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestPlan } from '../test-plan.ts'

test('the backends are columns, in the order of the group', () => {
  const { plan } = new TestPlan([{ count: 1 }, { count: 2, name: 'us-central1-b/my-group' }], (id) => ({
    address: `192.0.2.${id}`,
    port: 80 + id,
  }))
  const { name, backends } = plan.groups[1]
  assert.equal(name, 'us-central1-b/my-group')
  assert.deepEqual([...backends.ids], [1, 2])
  assert.deepEqual([...backends.ports], [81, 82])
  assert.deepEqual([...backends.families], [4, 4])
  assert.deepEqual([...backends.words], [0, 0, 0, 0xc0000201 | 0, 0, 0, 0, 0xc0000202 | 0])
  assert.equal(backends.names, 'backend-1\nbackend-2')
})
