/** Builds what is out of date: build/truepeer.node from native/, dist/ from the TypeScript sources. */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { buildAddon } from './addon.mjs'
import { checkNodeVersion, repositoryRoot, runProgram } from './program.mjs'

checkNodeVersion()
buildAddon()
removeStaleOutputs()
runProgram(join(repositoryRoot, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.json'], 'fix the type errors above')

/** Removes what the compiler made of sources that are gone: a deleted test would otherwise run for ever. */
function removeStaleOutputs() {
  const outputRoot = join(repositoryRoot, 'dist')
  if (!existsSync(outputRoot)) return
  for (const path of readdirSync(outputRoot, { recursive: true, encoding: 'utf8' })) {
    const source = path.replace(/\.js(\.map)?$/, '.ts')
    if (source !== path && !existsSync(join(repositoryRoot, source))) rmSync(join(outputRoot, path))
  }
}
