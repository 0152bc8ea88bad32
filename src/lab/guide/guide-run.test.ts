import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readGuide } from './guide-page.ts'
import { GuideRun, type RowResult } from './guide-run.ts'
import { GuideTranscript } from './guide-transcript.ts'
import type { EnterHost } from './lab-hosts.ts'

/** Every host is this machine. */
const HERE: EnterHost = async (_host, command) => command

async function run(text: string): Promise<{ results: readonly RowResult[]; written: string }> {
  let written = ''
  const transcript = new GuideTranscript((part) => (written += part), false, 120)
  const guide = new GuideRun(HERE, transcript)
  const rows = readGuide(text)
  try {
    const results = await guide.run(rows)
    transcript.results(rows, results)
    return { results, written }
  } finally {
    await guide.close()
  }
}

const row = (number: number, ...blocks: readonly string[]): string =>
  [`### ${number}. Row ${number}`, ...blocks].join('\n\n')
const sh = (text: string): string => `\`\`\`sh\n${text}\n\`\`\``
const text = (lines: string, host = ''): string => `\`\`\`text${host}\n${lines}\n\`\`\``

test('a row is seen by the last line that the guide shows, and the table has it', async () => {
  const { results, written } = await run(row(1, sh('echo one; echo   two >&2'), text('one\ntwo')))
  assert.deepEqual(
    results.map((result) => ({ ...result, row: undefined })),
    [{ kind: 'seen', line: 'two', row: undefined }],
  )
  assert.match(written, /^client\$ echo one; echo {3}two >&2\nclient \| one\n/m)
  assert.match(written, /^ {2}1 Row 1 +seen {2}two$/m)
})

test('where the guide says by what a row is seen, it is that line', async () => {
  const { results } = await run(row(1, '<!-- seen PROXY … -->', sh('echo PROXY a; echo b'), text('PROXY …\nb')))
  assert.equal(results[0].kind === 'seen' && results[0].line, 'PROXY a')
})

test('a program goes on until its row is done, and what it prints is waited for', async () => {
  const program = sh(
    '# on b, until row 2 is done\ntrap "echo ended; exit" INT; echo ready; while :; do sleep 0.1; echo tick; done',
  )
  const { results } = await run(
    [row(1, program, text('ready\ntick', ' b')), row(2, text('tick', ' b')), row(3, text('tick', ' b'))].join('\n'),
  )
  assert.deepEqual(
    results.map(({ kind }) => kind),
    ['seen', 'seen', 'failed'],
  )
})

test('a row that fails says why, and those after it are not tried', async () => {
  const { results, written } = await run([row(1, sh('echo a'), text('b')), row(2, sh('true'))].join('\n'))
  assert.equal(results.length, 1)
  assert.match(written, /^ {2}1 Row 1 +FAILED {2}it did not print "b"$/m)
  assert.match(written, /^ {2}2 Row 2 +not tried$/m)
  const status = await run(row(1, sh('exit 3')))
  assert.match(status.written, /FAILED {2}it ended with status 3/)
})

test('what this machine lacks is said', async () => {
  const { written } = await run(row(1, '<!-- row needs no-such-program -->', sh('false')))
  assert.match(written, /^ {2}1 Row 1 +skipped {2}"no-such-program" is not installed$/m)
})
