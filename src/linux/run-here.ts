import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { ProgramError, type ProgramExit } from './run.ts'

/** The exit status of a shell that has run the program: 128 and the number of the signal that has ended it. */
export function exitStatusOf({ exitCode, signal }: ProgramExit): number {
  return exitCode ?? 128 + (signal === undefined ? 0 : constants.signals[signal])
}

/** What a terminal sends to all of its foreground programs: the program gets it anyway. */
const OF_TERMINAL = ['SIGINT', 'SIGQUIT'] as const
const PASSED_ON = ['SIGTERM', 'SIGHUP'] as const

/**
 * Runs a program to its end in the place of this process: with its terminal, its input and its output, and with the
 * signals that end it.
 *
 * @throws ProgramError when there is no such program
 */
export async function runHere(program: string, args: readonly string[]): Promise<ProgramExit> {
  const child = spawn(program, args, { stdio: 'inherit' })
  const ignore = (): void => {}
  const passOn = (signal: NodeJS.Signals): void => void child.kill(signal)
  for (const signal of OF_TERMINAL) process.on(signal, ignore)
  for (const signal of PASSED_ON) process.on(signal, passOn)
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', () => reject(new ProgramError(program, args, 'cannot be started; is it installed?')))
      child.once('exit', (exitCode, signal) =>
        resolve({ exitCode: exitCode ?? undefined, signal: signal ?? undefined }),
      )
    })
  } finally {
    for (const signal of OF_TERMINAL) process.off(signal, ignore)
    for (const signal of PASSED_ON) process.off(signal, passOn)
  }
}
