import { networkInterfaces } from 'node:os'
import { runChecked } from '../linux/run.ts'
import { Host } from './host.ts'

/**
 * One end of a link: `addresses` with their prefix lengths, `routes` that leave through the link, each the words of
 * ip-route(8) before `dev`: "10.128.0.0/20", "0.0.0.0/0 via 192.0.2.1", "10.128.0.0/20 src 35.191.0.9".
 */
export type LinkEnd = {
  readonly host: Host
  readonly addresses: readonly string[]
  readonly routes?: readonly string[]
}

const LINK_UP_TIMEOUT_MS = 5_000
const POLL_MS = 5
// Any numbers that the kernel does not give out by itself.
const FIRST_INTERFACE_INDEX = 1_000

let hostCount = 0

/**
 * Hosts on one machine, as network namespaces joined by links.
 *
 * Works only inside private mount and network namespaces with a tmpfs of their own on /run (see
 * `runInPrivateNamespaces`), so that the network of the machine is out of reach. Whoever makes a lab closes it.
 */
export class Lab {
  readonly #hosts: Host[] = []
  #nextIndex = FIRST_INTERFACE_INDEX

  constructor() {
    const outer = Object.values(networkInterfaces())
      .flat()
      .find((address) => address?.internal === false)
    if (outer !== undefined) {
      throw new Error(
        `A lab needs a network namespace of its own, and this one has the address "${outer.address}"; ` +
          'start through "npm test" or "npm run demo:small"',
      )
    }
  }

  /** Makes a host without links; its loopback interface is up. */
  async addHost(name: string): Promise<Host> {
    // Test files run as parallel processes that share /run.
    const host = new Host(name, `${name}-${process.pid}-${hostCount++}`)
    await runChecked('ip', ['netns', 'add', host.namespace])
    this.#hosts.push(host)
    await host.ip('link set lo up')
    return host
  }

  /** Joins two hosts by a cable (veth(4)); the ends are called eth0, eth1, … on each host, in the order of linking. */
  async link(one: LinkEnd, other: LinkEnd): Promise<void> {
    // The kernel reports a link as up at once only if the indexes of its ends differ; otherwise it may wait for a
    // second (linkwatch_urgent_event in net/core/link_watch.c), and IPv6 has no multicast route for that long.
    const ends = [one, other].map((end) => ({
      ...end,
      interface: end.host.nextInterface(),
      index: this.#nextIndex++,
    }))
    const [a, b] = ends
    await a.host.ip(
      `link add name ${a.interface} index ${a.index} type veth ` +
        `peer name ${b.interface} index ${b.index} netns ${b.host.namespace}`,
    )
    for (const end of ends) {
      for (const address of end.addresses) {
        // nodad: an IPv6 address may be used at once, nobody else can have it.
        await end.host.ip(`address add ${address} dev ${end.interface}${address.includes(':') ? ' nodad' : ''}`)
      }
      await end.host.ip(`link set dev ${end.interface} up`)
    }
    for (const end of ends) {
      await untilUp(end.host, end.interface)
      for (const route of end.routes ?? []) await end.host.ip(`route add ${route} dev ${end.interface}`)
    }
  }

  /** Ends every program and connection of the lab and removes its hosts. Closing twice does no harm. */
  async close(): Promise<void> {
    const hosts = this.#hosts.splice(0)
    const results = await Promise.allSettled(
      hosts.map(async (host) => {
        try {
          await host.close()
        } finally {
          await runChecked('ip', ['netns', 'delete', host.namespace])
        }
      }),
    )
    const problems = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
    if (problems.length > 0) throw new AggregateError(problems, 'The lab could not be removed')
  }
}

/** Waits until the kernel has brought all protocols up on an interface: its operational state (RFC 2863) is "up". */
async function untilUp(host: Host, name: string): Promise<void> {
  for (const deadlineMs = performance.now() + LINK_UP_TIMEOUT_MS; ; ) {
    if ((await host.ip(`link show dev ${name}`)).includes('state UP')) return
    if (performance.now() > deadlineMs)
      throw new Error(`"${name}" of "${host.name}" is not up after ${LINK_UP_TIMEOUT_MS} ms`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}
