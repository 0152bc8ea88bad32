import type { Cidr } from '../../address/cidr.ts'
import { runChecked } from '../../linux/run.ts'
import { listenInside } from '../listen-inside.ts'
import { withNetworkOf } from '../network-namespaces.ts'
import type { GuestAttributes } from './guest-attributes.ts'
import type { MetadataResources } from './metadata-resources.ts'
import { type Identities, MetadataServer, type Tokens } from './metadata-server.ts'

/** Where every instance finds its metadata server. */
export const METADATA_ADDRESS = '169.254.169.254'
const PORT = 80

/** What a metadata server needs of a machine. */
export type DescribedMachine = {
  /** The file of its network namespace, in which lo is up. */
  readonly namespacePath: string
  /** As they are now. */
  metadata(): MetadataResources
  /** Tells when they may have changed. @returns what ends that */
  onMetadata(listener: () => void): () => void
}

/** What is around a metadata server. */
export type MetadataServerSurroundings = {
  readonly subnets: readonly Cidr[]
  readonly tokens: Tokens
  readonly identities: Identities
  readonly guestAttributes: GuestAttributes
}

/**
 * Starts the metadata server of a machine: it listens inside the machine's network namespace, where nobody else comes.
 *
 * @returns what ends it
 */
export async function startMetadataServer(
  machine: DescribedMachine,
  surroundings: MetadataServerSurroundings,
): Promise<() => Promise<void>> {
  const { namespacePath } = machine
  const server = new MetadataServer({ ...surroundings, resources: () => machine.metadata() })
  // The address is one of the machine itself: no route leads to it, and no other machine reaches it.
  const add = ['address', 'replace', `${METADATA_ADDRESS}/32`, 'dev', 'lo', 'scope', 'link']
  await runChecked(...withNetworkOf(namespacePath, 'ip', add))
  await listenInside(namespacePath, [[server.http, `${METADATA_ADDRESS}:${PORT}`]])
  const unfollow = machine.onMetadata(() => server.changed())
  return async () => {
    unfollow()
    await server.close()
  }
}
