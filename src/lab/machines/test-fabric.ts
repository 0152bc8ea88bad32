import type { Host } from '../host.ts'
import type { Lab } from '../lab.ts'
import type { Fabric } from './running-machine.ts'

const GATEWAY = '10.255.255.254'
/** The gateway of hosts outside. */
const OUTSIDE = '192.0.2.254'

/** A network for tests: a router with a link to each machine, and to hosts outside. */
export class TestFabric implements Fabric {
  readonly #lab: Lab
  readonly #router: Host
  readonly #links = new Map<string, string>()
  /** What was asked for, in order: `attach 10.128.0.2 198.51.100.1`, `detach`. */
  readonly asked: string[] = []
  /** Why nobody is joined to it. */
  problem: string | undefined

  private constructor(lab: Lab, router: Host) {
    this.#lab = lab
    this.#router = router
  }

  static async make(lab: Lab): Promise<TestFabric> {
    const router = await lab.addHost('router')
    await router.run('sh', ['-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward'])
    return new TestFabric(lab, router)
  }

  /** A host outside, with its addresses. */
  async addHost(name: string, ...addresses: string[]): Promise<Host> {
    const host = await this.#lab.addHost(name)
    await this.#lab.link(
      { host, addresses: addresses.map((address) => `${address}/32`), routes: [`10.0.0.0/8 via ${OUTSIDE} onlink`] },
      { host: this.#router, addresses: [`${OUTSIDE}/32`], routes: addresses.map((address) => `${address}/32`) },
    )
    return host
  }

  async attach({ namespace, device, internal, external }: Parameters<Fabric['attach']>[0]): Promise<void> {
    this.asked.push(`attach ${[...internal, ...external].join(' ')}`)
    if (this.problem !== undefined) throw new Error(this.problem)
    this.#links.set(namespace, device)
    await this.#router.ip(`link add ${device} type veth peer name eth0 netns ${namespace}`)
    await this.#router.ip(`address add ${GATEWAY}/32 dev ${device}`)
    await this.#router.ip(`link set ${device} up`)
    const inside = async (command: string) => this.#router.run('ip', ['-netns', namespace, ...command.split(' ')])
    for (const address of internal) {
      await this.#router.ip(`route add ${address} dev ${device}`)
      await inside(`address add ${address}/32 dev eth0`)
    }
    await inside('link set eth0 up')
    await inside(`route add ${GATEWAY} dev eth0 scope link src ${internal[0]}`)
    await inside(`route add default via ${GATEWAY} dev eth0 src ${internal[0]}`)
  }

  async filter(_region: string, rules: string): Promise<void> {
    const { exitCode, stderr } = await this.#router.run('nft', ['-f', '-'], { input: rules })
    if (exitCode !== 0) throw new Error(stderr)
  }

  async detach(namespace: string): Promise<void> {
    this.asked.push('detach')
    const link = this.#links.get(namespace)
    this.#links.delete(namespace)
    if (link !== undefined) await this.#router.run('ip', ['link', 'delete', link])
  }
}
