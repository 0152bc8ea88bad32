/** What every tool needs to run another program and to stop with a sentence that helps. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
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

/** Ends the process when its Node is older than package.json says. */
export function checkNodeVersion() {
  const range = String(JSON.parse(readFileSync(`${repositoryRoot}/package.json`, 'utf8')).engines.node)
  const [major = 0, minor = 0] = range.replace('>=', '').split('.').map(Number)
  const [ourMajor = 0, ourMinor = 0] = process.versions.node.split('.').map(Number)
  if (ourMajor > major || (ourMajor === major && ourMinor >= minor)) return
  stopWithMessage(
    `truepeer needs Node ${range}, and ${process.execPath} is ${process.versions.node}; README.md says where to get one`,
  )
}
