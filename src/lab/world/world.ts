import { addNamespaces } from '../network-namespaces.ts'
import type { LabHost } from '../process/lab-status.ts'
import { Fabric } from './fabric.ts'
import { edgeName, LabEdge, type LabEdgeOptions } from './lab-edge.ts'
import { delayPackets } from './latency.ts'
import { CLIENTS, REGIONS } from './places.ts'

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
    const edges = REGIONS.map(({ name, edgeAddresses }) => ({
      name: edgeName(name),
      region: name,
      addresses: edgeAddresses,
    }))
    const hosts = [...CLIENTS, ...edges]
    await addNamespaces(hosts.map(({ name }) => name))
    for (const { name, region, addresses } of hosts) {
      await this.fabric.attach({ namespace: name, region, internal: addresses, external: [] })
    }
    this.#noLatency = await delayPackets()
  }

  /** Starts the edges; resolves when all of them serve. */
  async startEdges(options: LabEdgeOptions): Promise<void> {
    this.#edges = REGIONS.map((region) => new LabEdge(region, options))
    await Promise.all(this.#edges.map((edge) => edge.start()))
  }

  /** Clients and edges. */
  hosts(): readonly LabHost[] {
    return [
      ...CLIENTS.map((client) => ({ ...client, kind: 'client', state: 'running' }) as const),
      ...REGIONS.map(({ name: region, edgeAddresses: addresses }, index) => {
        const state = this.#edges[index]?.state ?? 'starting'
        return { name: edgeName(region), kind: 'edge', region, addresses, state } as const
      }),
    ]
  }
}
