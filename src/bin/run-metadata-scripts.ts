// Runs the scripts of an instance for its `startup` or its `shutdown`, whichever its argument says, inside of it, where
// Google's own google_metadata_script_runner is not installed, and in its words.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runInForeground } from '../linux/run.ts'
import { messageOf } from '../text/error-message.ts'

const METADATA = 'http://metadata.google.internal/computeMetadata/v1'
const WHEN = process.argv[2] ?? 'startup'
const KEYS = [`${WHEN}-script`, `${WHEN}-script-url`]
const FETCH_MS_MAX = 60_000

async function read(place: 'instance' | 'project'): Promise<Readonly<Record<string, string>>> {
  const url = `${METADATA}/${place}/attributes/?recursive=true`
  const signal = AbortSignal.timeout(FETCH_MS_MAX)
  const response = await fetch(url, { headers: { 'Metadata-Flavor': 'Google' }, signal })
  return (await response.json()) as Readonly<Record<string, string>>
}

async function download(url: string): Promise<Uint8Array> {
  const at = url.trim().replace(/^gs:\/\//, 'https://storage.googleapis.com/')
  const response = await fetch(at, { signal: AbortSignal.timeout(FETCH_MS_MAX) })
  if (!response.ok) throw new Error(`"${at}" is answered with status ${response.status}`)
  return new Uint8Array(await response.arrayBuffer())
}

async function run(key: string, value: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'metadata-scripts'))
  try {
    const file = join(directory, key)
    writeFileSync(file, key.endsWith('-url') ? await download(value) : value.trimStart(), { mode: 0o755 })
    // The shell takes a script without a first line that says what runs it, too.
    const { exitCode, signal } = await runInForeground('/bin/sh', ['-c', file])
    console.log(`${key} exit status ${exitCode ?? signal}`)
  } catch (error) {
    console.log(`${key} ${messageOf(error)}`)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

console.log(`Starting ${WHEN} scripts.`)
const own = await read('instance')
// Those of the project are for instances that have none of their own.
const attributes = KEYS.some((key) => own[key]) ? own : await read('project')
for (const key of KEYS) if (attributes[key]) await run(key, attributes[key])
console.log(`Finished running ${WHEN} scripts.`)
