// Many datagrams: what they may cost, and whom they may not disturb.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { METRICS } from '../../telemetry/metrics.ts'
import { survivesFlood, TestFlood } from './test-flood.ts'
import { TestFlows } from './test-flows.ts'

const BATCHES = 100
const BATCH = 64

test('steady traffic allocates nothing', (t) => {
  const flows = new TestFlows()
  const flood = new TestFlood(flows.endpoint)
  t.after(() => {
    flood.close()
    flows.close()
  })
  const play = (): void => {
    for (let batch = 0; batch < BATCHES; batch++) {
      flows.nowMs += 1
      // 64 flows, and then one that has all.
      flood.send(batch % 2 === 0 ? 0 : 7, batch % 2 === 1)
      flows.loop.step(0)
      flows.app.echo()
      flows.loop.step(0)
      flows.loop.step(0)
      flood.forget()
    }
  }
  for (let time = 0; time < 4; time++) play()
  const { slots } = METRICS.datagrams
  const before = process.memoryUsage().heapUsed
  const passed = flows.counters.read(slots['backend-to-client'])
  play()
  const bytes = process.memoryUsage().heapUsed - before
  assert.equal(flows.counters.read(slots['backend-to-client']) - passed, BATCHES * BATCH)
  t.diagnostic(`${bytes} bytes in ${BATCHES * BATCH} datagrams each way`)
  // A number on the heap would be 16 bytes for each; a collection would show as a negative sum.
  assert.ok(Math.abs(bytes) < BATCHES * BATCH * 4, `${bytes} bytes`)
})

test('a flood of invented addresses ends only others of its kind, and takes no more memory than there are places', (t) => {
  survivesFlood(t, 2_048)
})
