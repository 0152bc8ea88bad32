/** What every tool needs to run another program and to stop with a sentence that helps. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Absolute path of the checkout, without a slash at its end. */
export const repositoryRoot = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')

/**
 * Prints one message to stderr and ends the process.
 *
 * @param {string} message
 * @param {number} [exitCode]
 * @returns {never}
 */
export function stopWithMessage(message, exitCode = 1) {
  console.error(message)
  process.exit(exitCode)
}

/**
 * Runs a program in the checkout with this terminal; ends this process when the program fails.
 *
 * @param {string} command
 * @param {string[]} commandArguments
 * @param {string} remedy what the reader does next, printed under the failed command
 */
export function runProgram(command, commandArguments, remedy) {
  const { error, status, signal } = spawnSync(command, commandArguments, { cwd: repositoryRoot, stdio: 'inherit' })
  if (status === 0) return
  const outcome = error?.message ?? (signal === null ? `exit code ${status}` : `signal ${signal}`)
  stopWithMessage(`failed: ${[command, ...commandArguments].join(' ')} (${outcome})\nremedy: ${remedy}`)
}
