import type { ControllerConnection, FollowerSettings } from '../cli/follower-flags.ts'
import { ControllerClient, ControllerRefusal } from '../feed/controller-client.ts'
import type { InstanceAnswer } from '../feed/feed.ts'
import type { ControllerAnswer } from '../host/check-controller.ts'
import { credentialFile, TOKEN_CREDENTIAL } from '../host/service-manager.ts'
import { messageOf } from '../text/error-message.ts'
import { readCredentialToken, readNamedRoots, readNamedToken } from './named-file.ts'

/** Reads what a connection to a controller needs, and again for each request. @throws UsageError */
export function controllerClient({ address, tokenFile, caFile }: ControllerConnection): ControllerClient {
  // The token of a service without a user of its own may be in a file that only root can read.
  const credential = tokenFile && credentialFile(process.env, TOKEN_CREDENTIAL)
  const readToken = (): string | undefined => {
    if (credential) return readCredentialToken('--token-file', credential)
    return tokenFile && readNamedToken('--token-file', tokenFile)
  }
  const readCa = (): string | undefined => caFile && readNamedRoots('--controller-ca', caFile)
  // What is missing now would only show up in the log later.
  readToken()
  readCa()
  return new ControllerClient(address, { readToken, readCa })
}

/** Asks a controller what it knows of the host of an agent. Never rejects. */
export async function askAboutInstance(settings: FollowerSettings): Promise<ControllerAnswer> {
  try {
    const answer = await controllerClient(settings).get(`/truepeer/v1/instances/${settings.name}`)
    const { instances, edges } = (answer ?? {}) as Partial<InstanceAnswer>
    if (areTexts(instances) && areTexts(edges)) return { kind: 'answered', instances, edges }
    return { kind: 'unreachable', message: 'the server there is not a controller' }
  } catch (error) {
    const message = messageOf(error)
    if (error instanceof ControllerRefusal) return { kind: 'refused', status: error.status, message }
    return { kind: 'unreachable', message }
  }
}

function areTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string')
}
