import type { ControllerConnection, FollowerSettings } from '../cli/follower-flags.ts'
import { ControllerClient, ControllerRefusal } from '../feed/controller-client.ts'
import type { InstanceAnswer } from '../feed/feed.ts'
import type { ControllerAnswer, EdgeAnswer, NoAnswer } from '../host/check-controller.ts'
import { credentialFile, TOKEN_CREDENTIAL } from '../host/service-manager.ts'
import { messageOf } from '../text/error-message.ts'
import { readCredentialToken, readNamedRoots, readNamedToken } from './named-file.ts'

const NO_CONTROLLER = 'the server there is not a controller'
/** A body that can be no report, and how a controller refuses it; a proxy, or another server, says something else. */
const NO_REPORT = { json: '[]', refusal: "status 400: Invalid value for field 'body'" } as const
const ASK_MS_MAX = 5_000

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
    return { kind: 'unreachable', message: NO_CONTROLLER }
  } catch (error) {
    return noAnswer(error)
  }
}

/** Asks a controller whether the token is that of an edge of this name. Changes nothing there. Never rejects. */
export async function askAsEdge(settings: FollowerSettings): Promise<EdgeAnswer> {
  try {
    // A controller looks at the token first, and then at the report.
    const path = `/truepeer/v1/edges/${settings.name}/status`
    await controllerClient(settings).post(path, NO_REPORT.json, AbortSignal.timeout(ASK_MS_MAX))
    return { kind: 'unreachable', message: NO_CONTROLLER }
  } catch (error) {
    const answer = noAnswer(error)
    const isLetIn = answer.kind === 'refused' && answer.message.startsWith(NO_REPORT.refusal)
    return isLetIn ? { kind: 'known' } : answer
  }
}

function noAnswer(error: unknown): NoAnswer {
  const message = messageOf(error)
  if (error instanceof ControllerRefusal) return { kind: 'refused', status: error.status, message }
  return { kind: 'unreachable', message }
}

function areTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string')
}
