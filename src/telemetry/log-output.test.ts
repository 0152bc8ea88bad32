import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { eventually, pause } from '../../test/rig/eventually.ts'
import { LogOutput } from './log-output.ts'

/** A pipe of 64 KiB with both its ends. */
function makePipe(t: TestContext): { readonly reader: number; readonly writer: number } {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-log-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'pipe')
  execFileSync('mkfifo', [path])
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  return { reader, writer: openSync(path, 'w') }
}

function readAvailable(fd: number): string {
  const buffer = Buffer.alloc(1024 * 1024)
  let text = ''
  for (;;) {
    try {
      const count = readSync(fd, buffer)
      if (count === 0) return text
      text += buffer.toString('utf8', 0, count)
    } catch {
      return text
    }
  }
}

const LINE = `${'x'.repeat(999)}\n`

test('lines arrive in order and whole, also those that waited for a full pipe', async (t) => {
  const { reader, writer } = makePipe(t)
  const output = new LogOutput(writer, 1024 * 1024)
  const expected = Array.from({ length: 500 }, (_, index) => `${index} ${LINE}`).join('')
  for (const line of expected.split(/(?<=\n)/)) output.write(line)
  let text = ''
  await eventually('everything arrives', () => {
    text += readAvailable(reader)
    return text.length >= expected.length
  })
  assert.equal(text, expected)
  assert.equal(output.dropped, 0)
})

test('a reader that does not read loses lines, counted, and blocks neither write nor flush', async (t) => {
  const { reader, writer } = makePipe(t)
  const output = new LogOutput(writer, 200_000)
  const startedMs = performance.now()
  for (let count = 0; count < 1_000; count++) output.write(LINE)
  assert.ok(performance.now() - startedMs < 500)
  assert.equal(output.dropped, 800)
  await pause(50, 'it has tried again by now')
  output.flush()
  assert.ok(performance.now() - startedMs < 2_000)
  assert.match(readAvailable(reader), /^(x{999}\n)+x*$/)
})

test('without a reader lines are counted as dropped, and nothing throws', async (t) => {
  const { reader, writer } = makePipe(t)
  const output = new LogOutput(writer, 200_000)
  closeSync(reader)
  output.write(LINE)
  output.write(LINE)
  await eventually('counted', () => output.dropped === 2)
  output.write(LINE)
  output.flush()
})

test('flush writes at once what waits', (t) => {
  const { reader, writer } = makePipe(t)
  const output = new LogOutput(writer, 200_000)
  for (const line of ['one\n', 'two\n', 'three\n']) output.write(line)
  output.flush()
  // The first may still be on its way through the thread pool.
  assert.match(readAvailable(reader), /two\nthree\n/)
})

test('a file is appended to where it stands', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-log-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'file')
  const output = new LogOutput(openSync(path, 'w'), 200_000)
  output.write('one\n')
  output.write('two\n')
  await eventually('written', () => readFileSync(path, 'utf8') === 'one\ntwo\n')
})

test('a line that comes after all others were written is written, too', async (t) => {
  const { reader, writer } = makePipe(t)
  const output = new LogOutput(writer, 20)
  for (const line of ['one\n', 'two\n', 'three\n']) {
    output.write(line)
    let text = ''
    await eventually(`${line} arrives`, () => {
      text += readAvailable(reader)
      return text.length >= line.length
    })
    assert.equal(text, line)
  }
})

test('what has been written makes room: as much may wait as before', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-log-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'file')
  const output = new LogOutput(openSync(path, 'w'), 8)
  output.write('one\n')
  output.write('two\n')
  output.write('six\n')
  assert.equal(output.dropped, 1)
  await eventually('written', () => readFileSync(path, 'utf8') === 'one\ntwo\n')
  await eventually('there is room', () => {
    const before = output.dropped
    output.write('ten\n')
    return output.dropped === before
  })
})
