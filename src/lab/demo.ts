// The program behind "npm run demo". It only moves out of the way of this machine: the demo itself is demo-inside.ts.
import { fileURLToPath } from 'node:url'
import { NamespacesRefusedError, runInPrivateNamespaces } from './private-namespaces.ts'

try {
  process.exitCode = await runInPrivateNamespaces(fileURLToPath(new URL('demo-inside.js', import.meta.url)))
} catch (error) {
  if (!(error instanceof NamespacesRefusedError)) throw error
  console.error(error.message)
  process.exitCode = 1
}
