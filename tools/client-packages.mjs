/** The npm packages of other people's clients, which tests of the full run try against a controller. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from './program.mjs'

/** Where they are installed. They are too large to be dependencies, and tests have no network to fetch them by. */
const folder = join(repositoryRoot, 'build/clients')
const packages = {
  '@google-cloud/compute': '6.15.0',
  '@google-cloud/storage': '7.22.0',
  '@googleapis/compute': '42.0.0',
}

/** Installs what is missing or of another version; says so where npm cannot, and the tests of it are skipped. */
export function installClientPackages() {
  const manifest = join(folder, 'package.json')
  const wanted = JSON.stringify({ private: true, dependencies: packages })
  const isThere = Object.keys(packages).every((name) => existsSync(join(folder, 'node_modules', name)))
  if (isThere && existsSync(manifest) && readFileSync(manifest, 'utf8') === wanted) return
  console.log('set-up: installing the npm packages of other clients')
  mkdirSync(folder, { recursive: true })
  writeFileSync(manifest, wanted)
  const options = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error']
  const { status } = spawnSync('npm', ['install', ...options, '--prefix', folder], {
    stdio: 'inherit',
    timeout: 300_000,
  })
  if (status === 0) return
  console.log('set-up: npm could not install them; their tests are skipped')
  // The next run finds that they are missing.
  rmSync(manifest, { force: true })
}
