// The rows of the guide that an edge alone makes real, from docs/examples/guide.yaml, on the hosts of the demo.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import { startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { whoAnswers } from '../rig/line-app.ts'
import { skipWithout } from '../rig/skip.ts'
import { BACKEND_KEY, FRONTEND, GUIDE_PORT, guideText, quickGuideText, startIperf } from './guide.ts'

test('rows 8, 13 and 19: the port is open on the address, and ncat shows the PROXY line in front of the message', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  const ncat = backend.start('ncat', ['-v', '-l', '-k', '-p', `${GUIDE_PORT}`])
  await ncat.waitForLine(/Listening on/)
  const live = await startConfiguredEdge(t, edge, guideText())
  assert.equal((await live.backend(BACKEND_KEY)).health, 'HEALTHY')

  const { stdout } = await edge.run('ss', ['-Hltn'])
  assert.deepEqual(
    stdout.split(/\s+/).filter((word) => word.endsWith(`:${GUIDE_PORT}`)),
    [FRONTEND],
  )
  await assert.rejects(backend.connect({ to: `${IPV4.edgeSource}:${GUIDE_PORT}` }), { code: 'ECONNREFUSED' })

  const socket = await client.connect({ to: FRONTEND })
  assert.equal(socket.localAddress, IPV4.client)
  socket.write('Hello, world\n')
  await ncat.waitForLine(/^Hello, world$/)
  const lines = ncat.texts().map((line) => line.trimEnd())
  const message = lines.indexOf('Hello, world')
  const header = `PROXY TCP4 ${IPV4.client} ${IPV4.edge} ${socket.localPort} ${GUIDE_PORT}`
  assert.ok(lines[message - 1].endsWith(header), lines.join('\n'))
  const peers = lines.filter((line) => line.startsWith('Ncat: Connection from'))
  assert.ok(peers.length >= 2, 'the client and at least one probe')
  for (const peer of peers) assert.match(peer, /^Ncat: Connection from 35\.191\./)
})

test('rows 16 and 17: iperf gets through, and its server shows probes and the client alike from 35.191.0.0/16', {
  skip: skipWithout('iperf'),
}, async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  let server = await startIperf(backend)
  // Probes each second in place of every five: those are in edge-guide.full.test.ts.
  const live = await startConfiguredEdge(t, edge, quickGuideText())
  const words = ['-c', IPV4.edge, '-p', `${GUIDE_PORT}`, '-t', '1', '-f', 'm']
  const isMeasured = async (): Promise<boolean> => {
    const { exitCode, stdout } = await client.run('iperf', words)
    const isFast = exitCode === 0 && Number(/([\d.]+) Mbits\/sec/.exec(stdout)?.[1]) > 100
    return (
      isFast &&
      server.waitForLine(/[1-9][\d.]* Mbits\/sec/).then(
        () => true,
        () => false,
      )
    )
  }
  // Debian's iperf now and then ends by itself, of a broken list of its own, where a probe ends as a client begins.
  for (let attempt = 1; !(await isMeasured()); attempt++) {
    assert.ok(attempt < 3, server.texts().join('\n'))
    server.kill()
    await server.exited
    server = await startIperf(backend)
  }
  const lines = server.texts()
  const peers = lines.flatMap((line) => / connected with (\S+) port/.exec(line)?.[1] ?? [])
  assert.deepEqual(new Set(peers), new Set([IPV4.edgeSource]), lines.join('\n'))
  await eventually('three probes', async () => ((await live.backend(BACKEND_KEY)).probes?.total ?? 0) >= 3)
  await eventually(
    'the server has seen them',
    () => server.texts().filter((line) => / connected with /.test(line)).length >= 4,
  )
})

test('row 6: a backend that is not there is unhealthy and its clients are ended at once, until it comes', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  const live = await startConfiguredEdge(t, edge, quickGuideText())
  assert.equal((await live.backend(BACKEND_KEY)).health, 'UNHEALTHY')
  const startedMs = performance.now()
  assert.equal(await whoAnswers(client, FRONTEND), 'ECONNRESET')
  assert.ok(performance.now() - startedMs < 500)
  const ncat = backend.start('ncat', ['-v', '-l', '-k', '-p', `${GUIDE_PORT}`])
  await ncat.waitForLine(/Listening on/)
  await eventually('healthy', async () => (await live.backend(BACKEND_KEY)).health === 'HEALTHY')
  const socket = await client.connect({ to: FRONTEND })
  socket.write('Hello, world\n')
  await ncat.waitForLine(/^Hello, world$/)
})
