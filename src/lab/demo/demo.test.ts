import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runProgram } from '../../linux/run.ts'
import { Transcript } from './demo-transcript.ts'

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

test('a result that is not as expected is said in words', () => {
  let written = ''
  const transcript = new Transcript((text) => {
    written += text
  }, false)
  transcript.results([{ run: 'IPv4 with agent', peer: '127.0.0.1', expected: '209.52.88.4' }])
  assert.match(written, /^IPv4 with agent +127\.0\.0\.1 +209\.52\.88\.4 +WRONG$/m)
})
