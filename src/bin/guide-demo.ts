// The program behind "npm run demo": a lab of its own, in which it types the whole guide.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readGuide } from '../lab/guide/guide-page.ts'
import { GuideRun } from '../lab/guide/guide-run.ts'
import { GuideTranscript } from '../lab/guide/guide-transcript.ts'
import { messageOf } from '../text/error-message.ts'
import { commandOnHost, labUser, runLabCommand } from './lab-commands.ts'

const NAME = 'guide'
const OF_LAB = ['--name', NAME]
const CHECKOUT = new URL('../../../', import.meta.url)
const PROGRAM = fileURLToPath(new URL('bin/truepeer', CHECKOUT))
const PAGE = fileURLToPath(new URL('docs/guide/README.md', CHECKOUT))
const WIDTH_MIN = 100
const WIDTH_DEFAULT = 140

const INTRODUCTION = `The guide of docs/guide, typed in a lab on this machine. Lines with "host$" are commands, and you can type the same ones.
Nothing of this machine's network is changed, and nothing is left of the lab when it ends.
`

async function runDemo(transcript: GuideTranscript): Promise<boolean> {
  const rows = readGuide(readFileSync(PAGE, 'utf8'))
  transcript.say(INTRODUCTION)
  const enter = (host: string, command: readonly string[]) =>
    commandOnHost({ name: NAME, host, command }, labUser(), PROGRAM)
  const run = new GuideRun(enter, transcript)
  try {
    const results = await run.run(rows)
    transcript.results(rows, results)
    return results.every(({ kind }) => kind !== 'failed')
  } finally {
    await run.close()
  }
}

async function start(transcript: GuideTranscript): Promise<boolean> {
  try {
    // One that was kept.
    await runLabCommand('lab down', OF_LAB, PROGRAM, () => {})
    await runLabCommand('lab up', OF_LAB, PROGRAM, (text) => transcript.say(text.split('\nNext:')[0]))
    return true
  } catch (error) {
    transcript.say(`${messageOf(error)}\n\n"npm run demo:small" needs less of this machine, and shows the heart of it.`)
    return false
  }
}

function end(): Promise<number> {
  return runLabCommand('lab down', OF_LAB, PROGRAM, () => {})
}

const { stdout } = process
const transcript = new GuideTranscript(
  (text) => stdout.write(text),
  stdout.isTTY && stdout.hasColors(),
  Math.max(stdout.columns ?? WIDTH_DEFAULT, WIDTH_MIN),
)
const isKept = process.argv.includes('--keep')
// Whoever stops reading, or stops the demo, wants no lab.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => void end().finally(() => process.exit(1)))
}
stdout.on('error', () => void end().finally(() => process.exit(1)))
process.exitCode = 1
if (await start(transcript)) {
  if (await runDemo(transcript)) process.exitCode = 0
  const lab = (action: string): string => `bin/truepeer lab ${action} --name ${NAME}`
  if (isKept) transcript.say(`\nThe lab goes on: ${lab('shell')} client\nIt ends with:    ${lab('down')}`)
  else await end()
}
