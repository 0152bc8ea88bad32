import { addNamespaces } from '../network-namespaces.ts'
import type { LabHost } from '../process/lab-status.ts'
import { Fabric } from './fabric.ts'
import { type EdgeHost, edgeName, LabEdge, type LabEdgeOptions } from './lab-edge.ts'
import { delayPackets } from './latency.ts'
import { CLIENTS, REGIONS } from './places.ts'

/** The hosts that a lab always has, beside the instances. */
export const HOSTS: readonly Omit<LabHost, 'state'>[] = [
  ...CLIENTS.map((client) => ({ ...client, kind: 'client' }) as const),
  ...REGIONS.map(({ name: region, edgeAddresses: addresses }) => {
    return { name: edgeName(region), kind: 'edge', region, addresses } as const
  }),
]

/** How the edges of a lab are started. */
export type StartEdges = Pick<LabEdgeOptions, 'program' | 'controller'> & {
  /** The host of this name, which is on. */
  readonly hostOf: (name: string) => EdgeHost
  readonly onLine: (edge: string, line: string) => void
}

/** All of a lab but its controller and what that asks for: the network, clients, and edges. */
export class World {
  readonly fabric = new Fabric()
  #edges: readonly LabEdge[] = []
  #noLatency: string | undefined

  /** Why packets between regions take no time; undefined: they do. */
  get noLatency(): string | undefined {
    return this.#noLatency
  }

  /** Builds the network, with the hosts of clients and edges. */
  async build(): Promise<void> {
    await this.fabric.start()
    await addNamespaces(HOSTS.map(({ name }) => name))
    for (const { name, region, addresses } of HOSTS) {
      await this.fabric.attach({ namespace: name, region, internal: addresses, external: [] })
    }
    this.#noLatency = await delayPackets()
  }

  /** Starts the edges; resolves when all of them serve. */
  async startEdges({ hostOf, onLine, ...options }: StartEdges): Promise<void> {
    this.#edges = REGIONS.map((region) => {
      const name = edgeName(region.name)
      return new LabEdge(region, { ...options, host: hostOf(name), onLine: (line) => onLine(name, line) })
    })
    await Promise.all(this.#edges.map((edge) => edge.start()))
  }

  /** Clients and edges. */
  hosts(): readonly LabHost[] {
    const states = new Map(this.#edges.map(({ name, state }) => [name, state]))
    return HOSTS.map((host) => ({
      ...host,
      state: host.kind === 'edge' ? (states.get(host.name) ?? 'starting') : 'running',
    }))
  }
}
