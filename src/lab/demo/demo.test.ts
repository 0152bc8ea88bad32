import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runProgram } from '../../linux/run.ts'
import { Lab } from '../lab.ts'
import { DemoChain } from './demo-chain.ts'
import { buildDemoHosts, IPV4 } from './demo-hosts.ts'
import { Transcript } from './demo-transcript.ts'

const CHECKOUT = fileURLToPath(new URL('../../../../', import.meta.url))

test('the demo shows the edge without the agent and the client with it, in at most 64 plain lines', async () => {
  const demo = fileURLToPath(new URL('demo.js', import.meta.url))
  const { exitCode, stdout, stderr } = await runProgram('node', [demo], { timeoutMs: 60_000 })
  assert.equal(exitCode, 0, stdout + stderr)
  const lines = stdout.trimEnd().split('\n')
  const rows = lines.slice(-4).map((line) => line.split(/ {2,}/))
  assert.deepEqual(rows, [
    ['IPv4 without agent', '35.191.0.9', '35.191.0.9', 'ok'],
    ['IPv4 with agent', '209.52.88.4', '209.52.88.4', 'ok'],
    ['IPv6 without agent', '2001:db8:35::9', '2001:db8:35::9', 'ok'],
    ['IPv6 with agent', '2001:db8:209::4', '2001:db8:209::4', 'ok'],
  ])
  assert.ok(lines.includes("app's log | Ncat: Connection from 209.52.88.4."), stdout)
  assert.match(stdout, /^app's log \| PROXY TCP4 209\.52\.88\.4 203\.0\.113\.10 [0-9]+ 110$/m)
  // Whoever types the commands has each app out of the way before the next one.
  const apps = lines.filter((line) => /^backend\$ (ncat -v|kill \$!)/.test(line)).map((line) => line.split(' ')[1])
  assert.deepEqual(apps, Array(4).fill(['ncat', 'kill']).flat())
  assert.ok(lines.length <= 64, `${lines.length} lines`)
  assert.equal(stdout.includes('\x1b'), false)
})

suite('a program in the place of the agent', () => {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-'))
  after(() => rmSync(directory, { recursive: true }))

  async function runWith(agentCommand: string) {
    mkdirSync(join(directory, 'bin'), { recursive: true })
    const script = `#!/bin/sh\nif [ "$1" = edge ]; then exec ${CHECKOUT}bin/truepeer "$@"; fi\n${agentCommand}\n`
    writeFileSync(join(directory, 'bin/truepeer'), script, { mode: 0o755 })
    const lab = new Lab()
    try {
      const chain = new DemoChain(await buildDemoHosts(lab), new Transcript(() => {}, false), directory)
      await chain.writeApp()
      await chain.runWithoutAgent(IPV4)
      return await chain.runWithAgent(IPV4)
    } finally {
      await lab.close()
    }
  }

  // An agent that connects as itself. `firstBytes` is the expression for what the app gets of the first segment.
  const plainProxy = (firstBytes: string) => `exec node --eval '
    const net = require("node:net")
    net.createServer({ allowHalfOpen: true }, (client) => client.once("data", (segment) => {
      const app = net.connect({ host: "127.0.0.1", port: 112, allowHalfOpen: true })
      app.write(${firstBytes})
      client.pipe(app).pipe(client)
    })).listen(110, "10.128.0.2", () => console.log(JSON.stringify({ msg: "listening" })))'`

  test('that connects from its own address is found out', async () => {
    const { peer, expected } = await runWith(plainProxy('segment.subarray(segment.indexOf(10) + 1)'))
    assert.deepEqual([peer, expected], ['127.0.0.1', '209.52.88.4'])
  })

  test('that passes the PROXY line on to the app is found out', async () => {
    const result = runWith(plainProxy('segment'))
    await assert.rejects(result, /the app read "PROXY TCP4 209\.52\.88\.4 .*", which does not match/)
  })

  test('that ends at once is found out', async () => {
    await assert.rejects(runWith('echo broken; exit 1'), /ended without a line that matches .*:\nbroken/)
  })
})

test('a result that is not as expected is said in words', () => {
  let written = ''
  const transcript = new Transcript((text) => {
    written += text
  }, false)
  transcript.results([{ run: 'IPv4 with agent', peer: '127.0.0.1', expected: '209.52.88.4' }])
  assert.match(written, /^IPv4 with agent +127\.0\.0\.1 +209\.52\.88\.4 +WRONG$/m)
})
