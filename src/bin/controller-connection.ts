import { readFileSync } from 'node:fs'
import { quoted } from '../cli/flags.ts'
import type { ControllerConnection } from '../cli/follower-flags.ts'
import { type ControllerAddress, ControllerClient } from '../dataplane/controller-client.ts'

/** Reads what a connection to a controller needs; the token again for each request. @throws Error */
export function controllerClient({ address, tokenFile, caFile }: ControllerConnection): ControllerClient {
  const readToken = (): string | undefined => tokenFile && readText('--token-file', tokenFile)
  // What is missing now would only show up in the log later.
  readToken()
  return new ControllerClient(withCa(address, caFile), readToken)
}

function withCa(address: ControllerConnection['address'], caFile: string | undefined): ControllerAddress {
  if (address.kind === 'unix') return address
  return { ...address, ca: caFile === undefined ? undefined : readText('--controller-ca', caFile) }
}

function readText(flag: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`${flag} ${quoted(path)}: ${reason}; give a readable file`)
  }
}
