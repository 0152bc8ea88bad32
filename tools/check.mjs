/**
 * Everything a commit must pass, in the order of how soon it fails.
 *
 *   node tools/check.mjs [--static]
 *
 * `--static` leaves the tests out.
 */
import { spawnSync } from 'node:child_process'
import { delimiter, join } from 'node:path'
import { repositoryRoot, stopWithMessage } from './program.mjs'

const node = process.execPath
const steps = [
  { name: 'set-up and build', command: [node, 'tools/setup.mjs', 'test'], remedy: 'fix what is named above' },
  {
    name: 'format and lint',
    command: ['biome', 'check', '--error-on-warnings', '--max-diagnostics=50'],
    remedy: '"npm run format" fixes the format and the order of imports; the rest by hand',
  },
  { name: 'floors', command: [node, 'tools/check-floors.mjs'], remedy: 'do what is said above' },
  { name: 'types of tools/', command: ['tsc', '-p', 'tools/tsconfig.json'], remedy: 'fix the type errors above' },
  {
    name: 'unused files, exports and dependencies',
    command: ['knip', '--no-progress'],
    remedy: 'remove what nothing uses, or take "export" away where only its own file uses it',
  },
  { name: 'tests', command: [node, 'tools/test.mjs'], remedy: '"npm test -- <part of a path>" runs one file alone' },
]

const isStatic = process.argv.includes('--static')
const env = { ...process.env, PATH: join(repositoryRoot, 'node_modules/.bin') + delimiter + process.env.PATH }
for (const { name, command, remedy } of steps) {
  if (isStatic && name === 'tests') continue
  console.log(`check: ${name}`)
  const [program = '', ...programArguments] = command
  const { status } = spawnSync(program, programArguments, { cwd: repositoryRoot, env, stdio: 'inherit' })
  if (status !== 0) stopWithMessage(`\ncheck failed at: ${name}\nremedy: ${remedy}`)
}
