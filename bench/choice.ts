// The program behind "npm run bench:choice". It only moves out of the way of this machine: choice-inside.ts measures.
import { fileURLToPath } from 'node:url'
import { runInPrivateNamespaces } from '../src/lab/private-namespaces.ts'
import { NamespacesRefusedError } from '../src/lab/refusal.ts'
import { CHOICE_USAGE, parseChoiceOptions } from './choice-options.ts'

const args = process.argv.slice(2)
try {
  if (args.includes('--help')) {
    console.log(CHOICE_USAGE)
  } else {
    parseChoiceOptions(args)
    process.exitCode = await runInPrivateNamespaces(fileURLToPath(new URL('choice-inside.js', import.meta.url)), args)
  }
} catch (error) {
  if (!(error instanceof Error)) throw error
  console.error(error instanceof NamespacesRefusedError ? error.message : `${error.message}\n${CHOICE_USAGE}`)
  process.exitCode = error instanceof NamespacesRefusedError ? 1 : 2
}
