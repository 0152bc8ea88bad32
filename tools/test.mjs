/**
 * Runs the compiled tests inside private namespaces, so that no test can touch the network of this machine.
 *
 *   node tools/test.mjs [--full] [part of a path ...] [--option-of-node ...]
 *
 * `--full` adds the long tests (*.full.test.ts). Parts of paths choose files: `dataplane`, `src/address/cidr.test.ts`.
 * `TRUEPEER_TEST_NOTES=1` also prints what tests measured, as `--full` does. The last line printed is "N passed, N failed", with ", N skipped" when there are any.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { repositoryRoot, stopWithMessage } from './program.mjs'

const givenArguments = process.argv.slice(2)
const isFull = givenArguments.includes('--full')

const namespacesModule = join(repositoryRoot, 'dist/src/lab/private-namespaces.js')
if (!existsSync(namespacesModule)) stopWithMessage('there are no compiled tests; run "npm run build" first')
/** @type {typeof import('../src/lab/private-namespaces.ts')} */
const { isInPrivateNamespaces, runInPrivateNamespaces } = await import(namespacesModule)
/** @type {typeof import('../src/lab/refusal.ts')} */
const { NamespacesRefusedError } = await import(join(repositoryRoot, 'dist/src/lab/refusal.js'))

if (isInPrivateNamespaces(givenArguments)) process.exitCode = runTests()
else process.exitCode = await runThisScriptInside()

async function runThisScriptInside() {
  try {
    return await runInPrivateNamespaces(fileURLToPath(import.meta.url), givenArguments)
  } catch (error) {
    if (!(error instanceof NamespacesRefusedError)) throw error
    console.error(error.message)
    return 1
  }
}

function runTests() {
  /** For one whole test file. */
  const fileTimeoutMs = isFull ? 1_800_000 : 180_000
  const nodeOptions = givenArguments.filter((argument) => /^--(?!full$|outside-network=)/.test(argument))
  // Half of the time a file waits for something: on two processors three of them keep both busy.
  const testRunner = ['--enable-source-maps', '--test', '--test-concurrency=3', `--test-timeout=${fileTimeoutMs}`]
  const reporter = ['--test-reporter=./tools/test-reporter.mjs', '--test-reporter-destination=stdout']
  const files = chooseTestFiles()
  const checkout = mountCheckout()
  // A folder for this run alone: process ids are those of the PID namespace, so names made of them come again.
  const temporaryFolder = mkdtempSync(join(tmpdir(), 'truepeer-tests-'))
  // Like /tmp: some tests run programs as another user.
  chmodSync(temporaryFolder, 0o1777)
  const { status } = spawnSync(process.execPath, [...testRunner, ...reporter, ...nodeOptions, ...files], {
    cwd: checkout ?? repositoryRoot,
    env: {
      ...process.env,
      TMPDIR: temporaryFolder,
      ...(isFull ? { TRUEPEER_FUZZ_RUNS: '1000000', TRUEPEER_TEST_NOTES: '1' } : {}),
    },
    stdio: 'inherit',
  })
  if (checkout !== undefined) unmountCheckout(checkout)
  rmSync(temporaryFolder, { recursive: true, force: true })
  return status ?? 1
}

/**
 * Mounts the checkout where every user can follow: some tests run the program as another user, and a checkout may lie
 * in a home that nobody else may enter. Not below /run, which tests cover. Returns undefined where it cannot be mounted.
 */
function mountCheckout() {
  const path = mkdtempSync(join(tmpdir(), 'truepeer-checkout-'))
  chmodSync(path, 0o755)
  const { status } = spawnSync('mount', ['--rbind', repositoryRoot, path], { stdio: 'inherit' })
  if (status === 0) return path
  rmdirSync(path)
  return undefined
}

/** @param {string} path */
function unmountCheckout(path) {
  // Never recursively: what is mounted there is the checkout itself.
  if (spawnSync('umount', ['--recursive', path], { stdio: 'inherit' }).status === 0) rmdirSync(path)
}

function chooseTestFiles() {
  const outputRoot = join(repositoryRoot, 'dist')
  const all = readdirSync(outputRoot, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.test.js'))
  const wanted = givenArguments.filter((argument) => !argument.startsWith('--'))
  const parts = wanted.map((path) => path.replace(/^\.\//, '').replace(/\.[jt]s$/, ''))
  const matching = all.filter((path) => parts.length === 0 || parts.some((part) => path.includes(part)))
  const chosen = matching.filter((path) => isFull || !path.endsWith('.full.test.js')).sort()
  if (chosen.length > 0) return chosen.map((path) => join('dist', path))
  if (matching.length > 0) stopWithMessage(`only "npm run test:full" runs ${matching.join(', ')}`)
  return stopWithMessage(wanted.length > 0 ? `no test file has ${wanted.join(' or ')} in its path` : 'found no tests')
}
