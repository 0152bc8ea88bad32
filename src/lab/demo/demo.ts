// The program behind "npm run demo:small". It only moves out of the way of this machine: the demo itself is demo-inside.ts.
import { fileURLToPath } from 'node:url'
import { runInPrivateNamespaces } from '../private-namespaces.ts'
import { NamespacesRefusedError } from '../refusal.ts'

try {
  process.exitCode = await runInPrivateNamespaces(fileURLToPath(import.meta.resolve('./demo-inside.js')))
} catch (error) {
  if (!(error instanceof NamespacesRefusedError)) throw error
  console.error(error.message)
  process.exitCode = 1
}
