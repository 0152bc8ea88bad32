/** Writes docs/reference from the tables of the compiled program; pages that are no longer made are removed. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from './program.mjs'

/** @type {typeof import('../src/cli/reference.ts')} */
const { referencePages } = await import(join(repositoryRoot, 'dist/src/cli/reference.js'))

const folder = join(repositoryRoot, 'docs/reference')
const pages = referencePages()
mkdirSync(folder, { recursive: true })
for (const name of readdirSync(folder)) if (!pages.has(name)) rmSync(join(folder, name))
for (const [name, text] of pages) writeFileSync(join(folder, name), text)
console.log(`docs: wrote ${[...pages.keys()].join(', ')} to docs/reference`)
