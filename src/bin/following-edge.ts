import { readFileSync } from 'node:fs'
import type { EdgeControllerSettings } from '../cli/edge-controller.ts'
import { quoted } from '../cli/flags.ts'
import type { ProgramContext } from '../dataplane/program.ts'
import type { ControllerAddress } from '../edge/controller-client.ts'
import { ControllerFollower } from '../edge/controller-follower.ts'
import { type EdgeOptions, type RunningEdge, startEdge } from '../edge/edge.ts'

/** Starts an edge with the last configuration that it had, and lets it follow its controller. @throws Error */
export async function startFollowingEdge(
  options: Omit<EdgeOptions, 'readSnapshot'>,
  zone: string | undefined,
  { address, name, file, tokenFile, caFile }: EdgeControllerSettings,
  context: ProgramContext,
): Promise<RunningEdge> {
  const readToken = (): string | undefined =>
    tokenFile === undefined ? undefined : readText('--token-file', tokenFile)
  // What is missing now would only show up in the log later.
  readToken()
  const follower = new ControllerFollower({
    address: withCa(address, caFile),
    name,
    region: options.localRegion,
    zone,
    file,
    readToken,
    log: context.log,
  })
  const edge = await startEdge({ ...options, readSnapshot: () => follower.snapshot() }, context)
  follower.start(edge)
  return edge
}

function withCa(address: EdgeControllerSettings['address'], caFile: string | undefined): ControllerAddress {
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
