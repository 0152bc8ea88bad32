// The program behind "npm run bench:scale". It only moves out of the way of this machine: scale/inside.ts measures.
import { fileURLToPath } from 'node:url'
import { runInPrivateNamespaces } from '../src/lab/private-namespaces.ts'
import { NamespacesRefusedError } from '../src/lab/refusal.ts'
import { parseScaleOptions, SCALE_USAGE } from './scale/options.ts'

const args = process.argv.slice(2)
try {
  if (args.includes('--help')) {
    console.log(SCALE_USAGE)
  } else {
    // A wrong command line is refused before anything is started.
    parseScaleOptions(args)
    process.exitCode = await runInPrivateNamespaces(fileURLToPath(new URL('scale/inside.js', import.meta.url)), args)
  }
} catch (error) {
  if (!(error instanceof Error)) throw error
  console.error(error instanceof NamespacesRefusedError ? error.message : `${error.message}\n${SCALE_USAGE}`)
  process.exitCode = error instanceof NamespacesRefusedError ? 1 : 2
}
