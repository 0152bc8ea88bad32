// The program behind "npm run bench". It only moves out of the way of this machine: what it does is compare-inside.ts.
import { fileURLToPath } from 'node:url'
import { runInPrivateNamespaces } from '../src/lab/private-namespaces.ts'
import { NamespacesRefusedError } from '../src/lab/refusal.ts'
import { parseOptions, USAGE } from './options.ts'

const args = process.argv.slice(2)
try {
  if (args.includes('--help')) {
    console.log(USAGE)
  } else {
    // A wrong command line is refused before anything is started.
    parseOptions(args)
    process.exitCode = await runInPrivateNamespaces(fileURLToPath(new URL('compare-inside.js', import.meta.url)), args)
  }
} catch (error) {
  if (!(error instanceof Error)) throw error
  console.error(error instanceof NamespacesRefusedError ? error.message : `${error.message}\n${USAGE}`)
  process.exitCode = error instanceof NamespacesRefusedError ? 1 : 2
}
