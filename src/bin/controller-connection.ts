import type { ControllerConnection } from '../cli/edge-controller.ts'
import { type ControllerAddress, ControllerClient } from '../dataplane/controller-client.ts'
import { readNamedRoots, readNamedToken } from './named-file.ts'

/** Reads what a connection to a controller needs; the token again for each request. @throws UsageError */
export function controllerClient({ address, tokenFile, caFile }: ControllerConnection): ControllerClient {
  const readToken = (): string | undefined => tokenFile && readNamedToken('--token-file', tokenFile)
  // What is missing now would only show up in the log later.
  readToken()
  const ca = caFile === undefined ? undefined : readNamedRoots('--controller-ca', caFile)
  return new ControllerClient(withCa(address, ca), readToken)
}

function withCa(address: ControllerConnection['address'], ca: string | undefined): ControllerAddress {
  return address.kind === 'unix' ? address : { ...address, ca }
}
