/**
 * Makes a checkout ready: checks Node, installs what is missing, builds.
 *
 *   node tools/setup.mjs demo:small | demo | test | test:full
 *
 * Runs in a fresh clone, before node_modules exists, so it imports only node's own modules and its neighbours.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { installClientPackages } from './client-packages.mjs'
import { installMissingDebianPackages, purposes } from './debian-packages.mjs'
import { checkNodeVersion, repositoryRoot, runProgram, stopWithMessage } from './program.mjs'

const purpose = process.argv[2] ?? ''
if (!purposes.includes(purpose)) {
  stopWithMessage(`usage: node tools/setup.mjs ${purposes.join(' | ')}`, 2)
}

checkNodeVersion()
installMissingDebianPackages(purpose)
if (!areNpmPackagesCurrent()) {
  console.log('set-up: installing the npm packages of package-lock.json')
  // At this level npm keeps quiet about settings in the user's own npmrc that it no longer knows.
  runProgram('npm', ['ci', '--loglevel=error'], 'fix what npm names above')
}
if (purpose === 'test:full') installClientPackages()
await import('./build.mjs')

/** Whether node_modules holds exactly what package-lock.json names. npm keeps its own record of what it installed. */
function areNpmPackagesCurrent() {
  let installed
  try {
    installed = readJson('node_modules/.package-lock.json').packages
  } catch {
    return false
  }
  return Object.entries(readJson('package-lock.json').packages).every(
    // Optional packages are the binaries of other platforms. '' is this project itself.
    ([path, wanted]) => path === '' || wanted.optional || installed[path]?.integrity === wanted.integrity,
  )
}

/** @param {string} path relative to the repository */
function readJson(path) {
  return JSON.parse(readFileSync(join(repositoryRoot, path), 'utf8'))
}
