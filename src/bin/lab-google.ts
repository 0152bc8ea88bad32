// Google inside a lab: one door for its names, and for each machine the files by which it finds that, and a metadata server.
import { parseCidr } from '../address/cidr.ts'
import { pathOf } from '../controller/model/resource-paths.ts'
import { tokenId } from '../controller/store/token.ts'
import { createToken, revokeToken } from '../controller/store/tokens.ts'
import { AccessTokens } from '../lab/google/access-tokens.ts'
import { makeGoogleIdentity } from '../lab/google/authority.ts'
import { runShutdownScripts, startBootPrograms } from '../lab/google/boot-programs.ts'
import { Buckets } from '../lab/google/buckets.ts'
import { GoogleDoor } from '../lab/google/google-door.ts'
import { GOOGLE_IPV4, GOOGLE_IPV6 } from '../lab/google/google-names.ts'
import { IdentityTokens } from '../lab/google/identity-tokens.ts'
import { placeFiles } from '../lab/google/machine-files.ts'
import { Uploads } from '../lab/google/uploads.ts'
import type { RunningMachine, StartServices } from '../lab/machines/running-machine.ts'
import { GuestAttributes } from '../lab/metadata/guest-attributes.ts'
import { effectiveItem } from '../lab/metadata/metadata-resources.ts'
import { METADATA_ADDRESS, startMetadataServer } from '../lab/metadata/start-metadata-server.ts'
import { addNamespaces, namespacePath } from '../lab/network-namespaces.ts'
import type { Fabric } from '../lab/world/fabric.ts'
import { REGIONS } from '../lab/world/places.ts'

const HOST = 'google'
const SHUTDOWN_KEYS = ['shutdown-script', 'shutdown-script-url']

/** Where things of a lab are. */
export type LabGoogleOptions = {
  readonly fabric: Pick<Fabric, 'attach'>
  /** For files of its own. */
  readonly directory: string
  /** That of the controller's store. */
  readonly dataDirectory: string
  readonly controllerSocket: string
  /** Directories of buckets: of what two of them hold, the last one counts. */
  readonly bucketsDirectories: readonly string[]
  /** Where machines have this program. */
  readonly checkout: string
}

/** What is around machines. */
export type LabGoogle = {
  /** Every machine gets it, so that it finds Google. */
  readonly startServices: StartServices
  /** An instance boots, too: Google's guest software, an ssh server, and its scripts for startup and shutdown. */
  readonly startInstanceServices: StartServices
  /** What an instance has written for others to read. */
  guestAttributes(path: string): GuestAttributes['all']
}

/** Opens the door, which works once the controller does. */
export async function startLabGoogle(options: LabGoogleOptions): Promise<LabGoogle> {
  const { fabric, directory, dataDirectory, controllerSocket, bucketsDirectories, checkout } = options
  const identity = await makeGoogleIdentity(`${directory}/authority`)
  await addNamespaces([HOST])
  await fabric.attach({ namespace: HOST, region: REGIONS[0].name, internal: [GOOGLE_IPV4, GOOGLE_IPV6], external: [] })
  const keeper = {
    create: (account: Parameters<typeof createToken>[1]) => createToken(dataDirectory, account),
    revoke: (token: string) => {
      const id = tokenId(token)
      if (id !== undefined) revokeToken(dataDirectory, id)
    },
  }
  const tokens = new AccessTokens(keeper, () => performance.now())
  const identities = new IdentityTokens(directory, Date.now)
  const uploads = new Uploads(`${directory}/uploads`)
  const buckets = new Buckets(bucketsDirectories, uploads)
  await GoogleDoor.open({
    namespacePath: namespacePath(HOST),
    identity,
    controllerSocket,
    buckets,
    uploads,
    tokens,
    identities,
  })
  const subnets = REGIONS.flatMap(({ subnet }) => parseCidr(subnet) ?? [])
  // By path and id: an instance that is made again has written nothing yet.
  const written = new Map<string, { readonly id: string; readonly guestAttributes: GuestAttributes }>()
  const start = async (machine: RunningMachine, guestAttributes: GuestAttributes) => {
    await placeFiles(machine, identity, METADATA_ADDRESS)
    return { stop: await startMetadataServer(machine, { subnets, tokens, identities, guestAttributes }) }
  }
  return {
    startServices: (machine) => start(machine, new GuestAttributes()),
    guestAttributes: (path) => written.get(path)?.guestAttributes.all ?? new Map(),
    async startInstanceServices(machine) {
      const { instance } = machine.metadata()
      const path = pathOf({ ...instance, collection: 'instances' })
      const before = written.get(path)
      const guestAttributes = before?.id === instance.id ? before.guestAttributes : new GuestAttributes()
      written.set(path, { id: instance.id, guestAttributes })
      const { stop } = await start(machine, guestAttributes)
      startBootPrograms(machine, checkout)
      const hasScript = () => SHUTDOWN_KEYS.some((key) => effectiveItem(machine.metadata(), key) !== undefined)
      const shutDown = async () => (hasScript() ? await runShutdownScripts(machine, checkout) : undefined)
      return { shutDown, stop }
    },
  }
}
