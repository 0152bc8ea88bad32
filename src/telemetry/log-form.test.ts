import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inForm } from './log-form.ts'

const LINE =
  '{"level":"warn","time":"2026-11-22T16:16:03.112Z","backend":"10.128.0.2:110","error":"timed out","msg":"backend health"}\n'

test('a line for the journal has the priority of sd-daemon(3) in front, and is else the same', () => {
  for (const [level, priority] of [
    ['fatal', 2],
    ['error', 3],
    ['warn', 4],
    ['info', 6],
    ['debug', 7],
  ] as const) {
    const line = LINE.replace('warn', level)
    assert.equal(inForm('journal', line), `<${priority}>${line}`)
  }
  assert.equal(inForm('json', LINE), LINE)
})

test('a line for a terminal is time, level, message and fields; a value with spaces or controls is quoted', () => {
  assert.match(
    inForm('terminal', LINE),
    /^\d\d:\d\d:\d\d WARN {2}backend health backend=10\.128\.0\.2:110 error="timed out"\n$/,
  )
  const nested =
    '{"level":"info","time":"2026-11-22T16:16:03.112Z","frontends":["a"],"x":"\\u001b[2J","msg":"listening"}\n'
  assert.match(inForm('terminal', nested), / INFO {2}listening frontends=\["a"\] x="\\u001b\[2J"\n$/)
})
