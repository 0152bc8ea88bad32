import { readFileSync } from 'node:fs'
import { quoted } from '../cli/flags.ts'
import type { ControllerConnection } from '../cli/follower-flags.ts'
import { ControllerClient } from '../dataplane/controller-client.ts'
import { credentialFile, TOKEN_CREDENTIAL } from '../host/service-manager.ts'

/** Reads what a connection to a controller needs, and again for each request. @throws Error */
export function controllerClient({ address, tokenFile, caFile }: ControllerConnection): ControllerClient {
  // The token of a service without a user of its own may stand in a file that only root can read.
  const tokenPath = tokenFile && (credentialFile(process.env, TOKEN_CREDENTIAL) ?? tokenFile)
  const readToken = (): string | undefined => tokenPath && readText('--token-file', tokenPath)
  const readCa = (): string | undefined => caFile && readText('--controller-ca', caFile)
  // What is missing now would only show up in the log later.
  readToken()
  readCa()
  return new ControllerClient(address, { readToken, readCa })
}

function readText(flag: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`${flag} ${quoted(path)}: ${reason}; give a readable file`)
  }
}
