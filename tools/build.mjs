/** Builds what is out of date: build/truepeer.node from native/, dist/ from the TypeScript sources. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildAddon } from './addon.mjs'
import { checkNodeVersion, repositoryRoot, runProgram } from './program.mjs'

checkNodeVersion()
buildAddon()
removeStaleOutputs()
compileSources()

/** Runs the compiler, unless it has already compiled exactly these sources without an error. */
function compileSources() {
  const stampPath = join(repositoryRoot, 'dist/.compiled')
  const sources = sourcePaths()
  const stamp = stampOf(sources)
  const isCurrent = existsSync(stampPath) && readFileSync(stampPath, 'utf8') === stamp
  if (isCurrent && sources.every((path) => !path.endsWith('.ts') || existsSync(outputOf(path)))) return
  rmSync(stampPath, { force: true })
  if (process.stdout.isTTY) console.log('build: compiling the TypeScript sources, which takes some seconds')
  runProgram(join(repositoryRoot, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.json'], 'fix the type errors above')
  writeFileSync(stampPath, stamp)
}

/** What the output of the compiler depends on, relative to the checkout. */
function sourcePaths() {
  const below = ['src', 'test', 'bench'].flatMap((folder) =>
    readdirSync(join(repositoryRoot, folder), { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path)),
  )
  return ['package-lock.json', 'tsconfig.json', ...below.filter((path) => path.endsWith('.ts')).sort()]
}

/** @param {readonly string[]} paths */
function stampOf(paths) {
  const facts = paths.map((path) => {
    const { mtimeMs, size } = statSync(join(repositoryRoot, path))
    return `${path} ${mtimeMs} ${size}\n`
  })
  return createHash('sha256').update(facts.join('')).digest('hex')
}

/** @param {string} path of a source */
function outputOf(path) {
  return join(repositoryRoot, 'dist', path.replace(/\.ts$/, '.js'))
}

/** Removes what the compiler made of sources that are gone: a deleted test would otherwise run for ever. */
function removeStaleOutputs() {
  const outputRoot = join(repositoryRoot, 'dist')
  if (!existsSync(outputRoot)) return
  for (const path of readdirSync(outputRoot, { recursive: true, encoding: 'utf8' })) {
    const source = path.replace(/\.js(\.map)?$/, '.ts')
    if (source !== path && !existsSync(join(repositoryRoot, source))) rmSync(join(outputRoot, path))
  }
}
