/** Compiles native/*.c into build/truepeer.node with one command of the C compiler (docs/decisions/0001). */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
// @ts-expect-error The package brings no types.
import nodeApiHeaders from 'node-api-headers'
import { repositoryRoot, stopWithMessage } from './program.mjs'

const compiler = process.env.CC ?? 'cc'
const sourceFolder = join(repositoryRoot, 'native')
const outputFolder = join(repositoryRoot, 'build')
const addonPath = join(outputFolder, 'truepeer.node')
const stampPath = join(outputFolder, 'truepeer.node.stamp')

const flags = [
  ...['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared', '-fvisibility=hidden'],
  ...['-DNAPI_VERSION=8', `-I${nodeApiHeaders.include_dir}`],
]

/** Compiles the addon unless the same sources, flags and compiler made the one that is there. */
export function buildAddon() {
  const files = readdirSync(sourceFolder).sort()
  const sources = files.filter((name) => name.endsWith('.c')).map((name) => join('native', name))
  if (sources.length === 0) return console.log('build: native/ holds no C source yet, so there is no addon')

  const stamp = stampOf(files.filter((name) => /\.[ch]$/.test(name)))
  if (existsSync(addonPath) && existsSync(stampPath) && readFileSync(stampPath, 'utf8') === stamp) return

  mkdirSync(outputFolder, { recursive: true })
  // A process may have the old addon mapped, and another build may be under way: write aside, then rename.
  const temporaryPath = `${addonPath}.${process.pid}`
  const { status, stderr } = runCompiler([...flags, '-o', temporaryPath, ...sources])
  if (status !== 0) {
    rmSync(temporaryPath, { force: true })
    const hint = /fatal error: .*: No such file/.test(stderr)
      ? '\nA missing system header is in the Debian package libc6-dev.'
      : ''
    stopWithMessage(`${stderr}failed: compiling native/ with ${compiler}${hint}`)
  }
  renameSync(temporaryPath, addonPath)
  writeFileSync(stampPath, stamp)
  console.log('build: compiled native/ into build/truepeer.node')
}

/** @param {string[]} inputs names of files in native/ */
function stampOf(inputs) {
  const hash = createHash('sha256').update(JSON.stringify([flags, runCompiler(['--version']).stdout]))
  for (const name of inputs) hash.update(`${name}\0`).update(readFileSync(join(sourceFolder, name)))
  return hash.digest('hex')
}

/** @param {string[]} compilerArguments */
function runCompiler(compilerArguments) {
  const result = spawnSync(compiler, compilerArguments, { cwd: repositoryRoot, encoding: 'utf8' })
  if (result.error) {
    stopWithMessage(
      `failed: the C compiler "${compiler}" did not start (${result.error.message})\n` +
        'remedy: sudo apt-get install gcc libc6-dev',
    )
  }
  return result
}
