import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import fc from 'fast-check'
import { eventually } from '../../../test/rig/eventually.ts'
import { parseCidr } from '../../address/cidr.ts'
import { CidrSet } from '../../address/cidr-set.ts'
import { parseIpAddress } from '../../address/ip-address.ts'
import type { JsonObject } from '../../controller/store/store.ts'
import type { Host } from '../host.ts'
import { Lab } from '../lab.ts'
import { rulesOf } from './firewall-rules.ts'
import { firewallTable } from './firewall-table.ts'

const NETWORK = 'projects/p/global/networks/default'
const OWN = { 4: '10.128.0.2', 6: '2001:db8:10::2' }
const PORTS = [110, 111, 8000]
/** Where packets come from and go to: two are instances, with a tag each. */
const OTHERS = ['10.128.0.7', '10.132.0.8', '35.191.0.9', '209.52.88.4', '2001:db8:10::7', '2001:db8:66::6']
const TAGGED = { a: ['10.128.0.7', '2001:db8:10::7'], b: ['10.132.0.8'] }
const RANGES = ['10.128.0.0/9', '10.0.0.0/8', '35.191.0.0/16', '209.52.88.4', '0.0.0.0/0', '2001:db8::/32', '::/0']

/** What a test says of a rule, and what is compiled from it. */
type Rule = {
  readonly direction: 'INGRESS' | 'EGRESS'
  readonly priority: number
  readonly allows: boolean
  readonly isDisabled: boolean
  readonly isForUs: boolean
  readonly ranges: readonly string[]
  readonly tags: readonly ('a' | 'b')[]
  /** Empty: every port. */
  readonly ports: readonly number[]
  readonly protocol: 'tcp' | 'udp' | 'all'
}

const rules = fc.array(
  fc.record({
    direction: fc.constantFrom('INGRESS', 'INGRESS', 'EGRESS'),
    priority: fc.constantFrom(0, 1000, 65_535),
    allows: fc.boolean(),
    isDisabled: fc.nat(9).map((number) => number === 0),
    isForUs: fc.nat(9).map((number) => number > 1),
    ranges: fc.uniqueArray(fc.constantFrom(...RANGES), { maxLength: 4 }),
    tags: fc.uniqueArray(fc.constantFrom('a', 'b'), { maxLength: 2 }),
    ports: fc.uniqueArray(fc.constantFrom(...PORTS), { maxLength: 3 }),
    protocol: fc.constantFrom('tcp', 'tcp', 'tcp', 'udp', 'all'),
  }),
  { maxLength: 8 },
) as fc.Arbitrary<readonly Rule[]>

/** Google's rules in their own words: the lowest number of those that match, and deny before allow. */
function isLetThrough(all: readonly Rule[], direction: Rule['direction'], other: string, port: number): boolean {
  const address = parseIpAddress(other)
  assert.ok(address !== undefined)
  const matching = all.filter((rule) => {
    if (rule.direction !== direction || rule.isDisabled || !rule.isForUs || rule.protocol === 'udp') return false
    if (rule.protocol === 'tcp' && rule.ports.length > 0 && !rule.ports.includes(port)) return false
    const isTagged = direction === 'INGRESS' && rule.tags.some((tag) => TAGGED[tag].includes(other))
    return isTagged || new CidrSet(rangesOf(rule).flatMap((text) => parseCidr(text) ?? [])).has(address)
  })
  if (matching.length === 0) return direction === 'EGRESS'
  const first = Math.min(...matching.map(({ priority }) => priority))
  return matching.filter(({ priority }) => priority === first).every(({ allows }) => allows)
}

/** As the controller fills them in. */
function rangesOf({ direction, ranges, tags }: Rule): readonly string[] {
  return ranges.length > 0 || (direction === 'INGRESS' && tags.length > 0) ? ranges : ['0.0.0.0/0']
}

function stored(rule: Rule, index: number) {
  const { direction, priority, allows, isDisabled, isForUs, tags, ports, protocol } = rule
  const traffic = [{ IPProtocol: protocol, ...(protocol === 'all' ? {} : { ports: ports.map(String) }) }]
  const resource: JsonObject = {
    network: NETWORK,
    direction,
    priority,
    disabled: isDisabled,
    targetTags: isForUs ? [] : ['somebody-else'],
    ...(allows ? { allowed: traffic } : { denied: traffic }),
    ...(direction === 'INGRESS'
      ? { sourceRanges: rangesOf(rule), sourceTags: tags }
      : { destinationRanges: rangesOf(rule) }),
    logConfig: { enable: index % 2 === 0 },
  }
  return { project: 'p', name: `rule-${index}`, resource }
}

function instance(name: string, addresses: readonly string[], tags: readonly string[]) {
  const [networkIP = '', ipv6Address] = addresses
  const nic = { network: NETWORK, networkIP, ...(ipv6Address === undefined ? {} : { ipv6Address }) }
  return { project: 'p', name, resource: { networkInterfaces: [nic], tags: { items: tags } } }
}

const us = instance('us', [OWN[4], OWN[6]], ['web'])
const instances = [us, instance('a', TAGGED.a, ['a']), instance('b', TAGGED.b, ['b'])]

suite('packets through the firewall of a machine', () => {
  const lab = new Lab()
  let machine: Host
  let router: Host
  let world: Host

  before(async () => {
    machine = await lab.addHost('machine')
    router = await lab.addHost('router')
    world = await lab.addHost('world')
    const own = [OWN[4], OWN[6]]
    const length = (text: string) => `${text}/${text.includes(':') ? 128 : 32}`
    const gateways = ['192.0.2.1', '2001:db8:ff::1']
    const routes = gateways.map((gateway) => `${gateway.includes(':') ? '::/0' : '0.0.0.0/0'} via ${gateway} onlink`)
    for (const [host, addresses] of [
      [machine, own],
      [world, OTHERS],
    ] as const) {
      await lab.link(
        { host, addresses: addresses.map(length), routes },
        { host: router, addresses: gateways.map(length), routes: addresses.map(length) },
      )
    }
    await router.run('sh', ['-c', 'cd /proc/sys/net && echo 1 >ipv4/ip_forward && echo 1 >ipv6/conf/all/forwarding'])
    // Forwarding has the router look again for who is on its links.
    await eventually('IPv6 is forwarded', () => getsThrough(machine, OWN[6], '2001:db8:66::6', 9))
  })
  after(() => lab.close())

  async function apply(firewalls: ReturnType<typeof stored>[], { isRouter = false } = {}): Promise<void> {
    const addresses = isRouter ? undefined : [OWN[4], OWN[6]]
    const input = firewallTable(rulesOf(us, instances, firewalls), { device: 'eth0', addresses })
    const { exitCode, stderr } = await router.run('nft', ['-f', '-'], { input })
    assert.equal(exitCode, 0, `${stderr}\n${input}`)
  }

  /** Nobody listens: what gets through is refused, and what does not is not answered. */
  async function getsThrough(from: Host, fromAddress: string, toAddress: string, port: number): Promise<boolean> {
    const to = toAddress.includes(':') ? `[${toAddress}]:${port}` : `${toAddress}:${port}`
    const code = await from.connect({ to, from: fromAddress, timeoutMs: 150 }).then(String, (error) => error.code)
    assert.ok(['ECONNREFUSED', 'ETIMEDOUT'].includes(code), code)
    return code === 'ECONNREFUSED'
  }

  test('whatever the rules, what they say happens', { timeout: 120_000 }, async () => {
    const property = fc.asyncProperty(rules, async (all) => {
      await apply(all.map(stored))
      const trials = OTHERS.flatMap((other) => PORTS.map((port) => ({ other, port })))
      await Promise.all(
        trials.flatMap(({ other, port }) => {
          const own = OWN[other.includes(':') ? 6 : 4]
          return [
            getsThrough(world, other, own, port).then((isIn) => {
              assert.equal(isIn, isLetThrough(all, 'INGRESS', other, port), `in from ${other} to ${port}`)
            }),
            getsThrough(machine, own, other, port).then((isOut) => {
              assert.equal(isOut, isLetThrough(all, 'EGRESS', other, port), `out to ${other} port ${port}`)
            }),
          ]
        }),
      )
    })
    await fc.assert(property, { numRuns: 60, endOnFailure: true })
  })

  test('what was let through goes on when its rule is gone, and nothing new comes', { timeout: 20_000 }, async () => {
    const rule: Rule = {
      direction: 'INGRESS',
      priority: 1000,
      allows: true,
      isDisabled: false,
      isForUs: true,
      ranges: ['209.52.88.4'],
      tags: [],
      ports: [110],
      protocol: 'tcp',
    }
    await apply([stored(rule, 0)])
    const listener = await machine.listen('10.128.0.2:110', (peer) => peer.pipe(peer))
    const socket = await world.connect({ to: '10.128.0.2:110', from: '209.52.88.4' })
    const said = () => new Promise<string>((resolve) => socket.once('data', (bytes) => resolve(`${bytes}`)))
    socket.write('one')
    assert.equal(await said(), 'one')
    await apply([])
    socket.write('two')
    assert.equal(await said(), 'two')
    assert.equal(await getsThrough(world, '209.52.88.4', '10.128.0.2', 110), false)
    socket.destroy()
    listener.close()
  })

  test('a machine sends from its own addresses only, unless it is a router', async () => {
    await machine.ip('address add 198.18.0.1/32 dev lo')
    await router.ip('route add 198.18.0.1 dev eth0')
    await apply([])
    assert.equal(await getsThrough(machine, '198.18.0.1', '209.52.88.4', 9), false)
    await apply([], { isRouter: true })
    assert.equal(await getsThrough(machine, '198.18.0.1', '209.52.88.4', 9), true)
  })

  test('a rule that is logged has counted', async () => {
    const rule = { direction: 'INGRESS', priority: 1000, allows: true, isDisabled: false, isForUs: true } as const
    await apply([stored({ ...rule, ranges: ['0.0.0.0/0'], tags: [], ports: [111], protocol: 'tcp' }, 0)])
    await getsThrough(world, '209.52.88.4', '10.128.0.2', 111)
    const { stdout } = await router.run('nft', ['list', 'table', 'inet', 'firewall_eth0'])
    assert.match(stdout, /tcp dport 111 counter packets 1 bytes [0-9]+ accept comment "rule-0"/)
  })

  test('UDP is let in by name and port, and loopback always', async () => {
    const base = {
      ...stored(
        {
          direction: 'INGRESS',
          priority: 1,
          allows: true,
          isDisabled: false,
          isForUs: true,
          ranges: ['209.52.88.4'],
          tags: [],
          ports: [],
          protocol: 'tcp',
        },
        0,
      ),
    }
    const allowing = async (...protocols: JsonObject[]) =>
      apply([{ ...base, resource: { ...base.resource, allowed: protocols } }])
    const script = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('209.52.88.4', 0)); s.settimeout(0.3); s.connect(('10.128.0.2', 53))
try:
    s.send(b'x'); s.recv(1); print('answered')
except ConnectionRefusedError: print('refused')
except socket.timeout: print('silent')`
    const udp = async () => (await world.run('python3', ['-c', script])).stdout.trim()
    await allowing({ IPProtocol: 'tcp' }, { IPProtocol: 'icmp' })
    assert.equal(await udp(), 'silent')
    await allowing({ IPProtocol: 'udp', ports: ['50-60'] })
    assert.equal(await udp(), 'refused')
    await allowing({ IPProtocol: 'udp', ports: ['54'] })
    assert.equal(await udp(), 'silent')
    await apply([])
    assert.equal(await getsThrough(machine, '127.0.0.1', '127.0.0.1', 9), true)
    assert.equal(await getsThrough(machine, '::1', '::1', 9), true)
    assert.equal(await getsThrough(machine, '10.128.0.2', '10.128.0.2', 9), true, 'its own address is loopback, too')
  })
})
