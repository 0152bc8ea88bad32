import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import { startConfiguredEdge } from '../rig/edge.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { skipWithout } from '../rig/skip.ts'
import { GUIDE_PORT, probedGuideText, startIperf } from './guide.ts'

const PROBES = 6

test('row 16: probes appear at the backend every five seconds or so', { skip: skipWithout('iperf') }, async (t) => {
  const { edge, backend } = await edgeHosts(t)
  const server = await startIperf(backend)
  await startConfiguredEdge(t, edge, probedGuideText())
  const timesMs: number[] = []
  for (let from = 0; timesMs.length < PROBES; ) {
    const line = await server.waitForLine(/ connected with /, { from, timeoutMs: 10_000 })
    assert.match(line, new RegExp(` port ${GUIDE_PORT} connected with ${IPV4.edgeSource} port `))
    timesMs.push(performance.now())
    from = server.texts().findIndex((text, index) => index >= from && text === line) + 1
  }
  // Many backends are not to be probed at the same moment: the second probe comes at any time within the interval.
  const gapsMs = timesMs.slice(2).map((timeMs, index) => timeMs - timesMs[index + 1])
  t.diagnostic(`between probes: ${gapsMs.map((gapMs) => `${Math.round(gapMs)} ms`).join(', ')}`)
  for (const gapMs of gapsMs) assert.ok(gapMs > 3_500 && gapMs < 6_500, `${gapMs} ms`)
  const seen = server.texts().filter((line) => / connected with /.test(line)).length
  await sleep(2_000)
  assert.equal(server.texts().filter((line) => / connected with /.test(line)).length, seen, 'nothing in between')
})
