import { spawn } from 'node:child_process'
import type { Duplex } from 'node:stream'
import { killSession, ProgramError } from './run.ts'

/** A program that goes on when this process ends, and the way to speak with it until then: its descriptor 3. */
export type DetachedProgram = {
  readonly channel: Duplex
  /** Kills it, and all that it has started in its session. */
  readonly killAll: () => void
}

/**
 * Starts a program in a session of its own, for more than the life of this process. It has no input, `/` as its working
 * directory, and the file that `outputFd` has open for what it prints.
 *
 * @throws ProgramError when there is no such program
 */
export function startDetached(program: string, args: readonly string[], outputFd: number): DetachedProgram {
  const child = spawn(program, args, { detached: true, cwd: '/', stdio: ['ignore', outputFd, outputFd, 'pipe'] })
  child.on('error', () => {})
  const { pid } = child
  if (pid === undefined) throw new ProgramError(program, args, 'cannot be started; is it installed?')
  child.unref()
  return { channel: child.stdio[3] as Duplex, killAll: () => killSession(pid) }
}
