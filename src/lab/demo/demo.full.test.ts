import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Lab } from '../lab.ts'
import { DemoChain } from './demo-chain.ts'
import { buildDemoHosts, IPV4 } from './demo-hosts.ts'
import { Transcript } from './demo-transcript.ts'

const CHECKOUT = fileURLToPath(new URL('../../../../', import.meta.url))

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
