import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LOG_DROPPED, METRICS } from './metrics.ts'
import { dataPlaneMetrics } from './registry.ts'

const liveness = () => ({ workers: 3, stuck: [1], stalls: 2 })

test('workers that are stuck are told from those that live', async () => {
  const lines = (
    await dataPlaneMetrics({ read: () => 0, droppedRecords: () => 0, liveness, version: '1.2.3' }).text()
  ).split('\n')
  assert.deepEqual(
    lines.filter((line) => line.startsWith('truepeer_worker_')),
    [
      'truepeer_worker_up{worker="0"} 1',
      'truepeer_worker_up{worker="1"} 0',
      'truepeer_worker_up{worker="2"} 1',
      'truepeer_worker_stalls_total 2',
    ],
  )
})

test('every scrape shows the counts of its moment, and adds nothing to those of the last one', async () => {
  let factor = 1
  const metrics = dataPlaneMetrics({
    read: (slot) => factor * (slot + 1),
    droppedRecords: () => factor * 3,
    liveness,
    version: '1.2.3',
  })
  for (const now of [1, 1, 10]) {
    factor = now
    const lines = new Set((await metrics.text()).split('\n'))
    for (const { name, label, slots } of Object.values(METRICS)) {
      for (const [value, slot] of Object.entries(slots)) {
        const labels = label === '' ? '' : `{${label}="${value}"}`
        assert.ok(lines.has(`${name}${labels} ${now * (slot + 1)}`), `${name}${labels}`)
      }
    }
    assert.ok(lines.has(`${LOG_DROPPED.name} ${now * 3}`))
  }
})

test('a metric says whether it may go down', async () => {
  const text = await dataPlaneMetrics({ read: () => 0, droppedRecords: () => 0, liveness, version: '1.2.3' }).text()
  for (const { name, kind, help } of Object.values(METRICS)) {
    assert.ok(text.includes(`# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n`), name)
    assert.equal(name.endsWith('_total'), kind === 'counter', name)
  }
})
