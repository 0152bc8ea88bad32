// Targets whose app is not where it seems to be: on another host, in a container, behind a translation of addresses.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Finding } from '../../src/host/finding.ts'
import type { Host } from '../../src/lab/host.ts'
import { shell } from '../rig/shell.ts'
import { skipWithout } from '../rig/skip.ts'
import { bareHosts, truepeer } from './bare-hosts.ts'

/** Examines an agent for IPv4 clients with this target; the findings by their names, and the exit status. */
async function examine(
  host: Host,
  words: string,
): Promise<{ exitCode: number | undefined; found: Map<string, Finding> }> {
  const agent = `doctor agent -l 10.128.0.2:110 ${words} --allow-all-subnets --family ipv4 --json`
  const { exitCode, stdout } = await truepeer(host, agent)
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] }
  return { exitCode, found: new Map(findings.map((finding) => [finding.name, finding])) }
}

/** Starts a process in the network of a host that listens there. */
async function listenIn(host: Host, endpoint: string, title: string): Promise<void> {
  const [address, port] = endpoint.split(':')
  const script = `process.title = '${title}'; require('node:net').createServer().listen(${port}, '${address}', () => console.log('up'))`
  await host.start(process.execPath, ['-e', script]).waitForLine(/up/)
}

test('a target on another host is named as that, and nothing else is said about it', async (t) => {
  const { backend } = await bareHosts(t)
  await truepeer(backend, 'host-setup apply')
  const { exitCode, found } = await examine(backend, '-4 10.9.9.9:112')
  assert.equal(exitCode, 1)
  assert.match(found.get('app-ipv4')?.detail ?? '', /^10\.9\.9\.9 is not an address of this host/)
  assert.match(found.get('app-ipv4')?.remedy ?? '', /^run an agent on the host of the app, .* with -4$/)
  assert.deepEqual([found.get('routing-ipv4'), found.get('transparent-connection-ipv4')], [undefined, undefined])
})

test('an app in another network namespace, or behind a forwarder, is found with its process', async (t) => {
  const { backend, outside } = await bareHosts(t)
  await truepeer(backend, 'host-setup apply')
  await listenIn(outside, '127.0.0.1:4112', 'contained')
  const contained = (await examine(backend, '-4 127.0.0.1:4112')).found.get('app-ipv4')
  assert.equal(contained?.status, 'fail')
  assert.match(contained?.detail ?? '', /"contained" \(pid \d+\) does in another network namespace/)
  assert.match(contained?.remedy ?? '', /in the network namespace of the app/)

  await listenIn(backend, '127.0.0.1:4113', 'docker-proxy')
  const forwarded = (await examine(backend, '-4 127.0.0.1:4113')).found.get('app-ipv4')
  assert.equal(forwarded?.status, 'fail')
  assert.match(forwarded?.detail ?? '', /^"docker-proxy" listens on 127\.0\.0\.1:4113 /)
  // The same program on another address of the port is not in the way.
  await listenIn(backend, '10.128.0.2:4114', 'docker-proxy')
  await listenIn(backend, '127.0.0.1:4114', 'app')
  assert.equal((await examine(backend, '-4 127.0.0.1:4114')).found.get('app-ipv4')?.status, 'warn')
})

const NFT = [
  'tcp dport 4112 dnat ip to 172.17.0.2:80',
  'ip daddr 127.0.0.1 tcp dport { 80, 4100-4200 } dnat ip to 172.17.0.2',
  'tcp dport @published dnat ip to 172.17.0.2',
  'dnat ip to tcp dport map { 4112 : 172.17.0.2 }',
  'tcp dport 4112 redirect to :80',
]

test('a port that the firewall translates is found, however the rule names it', {
  skip: skipWithout('nft'),
}, async (t) => {
  const { backend } = await bareHosts(t)
  await truepeer(backend, 'host-setup apply')
  const nft = (command: string) => shell(backend, `/usr/sbin/nft '${command}'`)
  await nft('add table inet x; add set inet x published { type inet_service; elements = { 4112 } }')
  await nft('add chain inet x y { type nat hook output priority -100; }')
  for (const rule of NFT) {
    await nft(`add rule inet x y meta nfproto ipv4 ${rule}`)
    const translated = (await examine(backend, '-4 127.0.0.1:4112')).found.get('app-ipv4')
    assert.match(translated?.detail ?? '', /the firewall translates port 4112/, rule)
    await nft('flush chain inet x y')
  }
  await nft(`add rule inet x y meta nfproto ipv4 ${NFT[1]}`)
  const other = (await examine(backend, '-4 127.0.0.1:4999')).found.get('app-ipv4')
  assert.equal(other?.detail, 'nothing listens on 127.0.0.1:4999')
  await nft('flush chain inet x y')
  await nft('add rule inet x y udp dport 4112 redirect to :80')
  const ofUdp = (await examine(backend, '-4 127.0.0.1:4112')).found.get('app-ipv4')
  assert.equal(ofUdp?.detail, 'nothing listens on 127.0.0.1:4112')
  await nft('flush chain inet x y')
  await nft('add rule inet x y tcp dport 4112 redirect to :80')
  const applied = await truepeer(backend, 'host-setup apply --app-port 4112')
  assert.match(
    applied.stdout,
    /^Note: port 4112 \(tcp\) is translated to another address: run the agent in the network/m,
  )
})

test('a port that iptables translates is found', { skip: skipWithout('iptables') }, async (t) => {
  const { backend } = await bareHosts(t)
  await truepeer(backend, 'host-setup apply')
  await shell(backend, 'iptables -t nat -A OUTPUT -p tcp --dport 4112 -j DNAT --to-destination 172.17.0.2:80')
  const translated = (await examine(backend, '-4 127.0.0.1:4112')).found.get('app-ipv4')
  assert.match(translated?.detail ?? '', /the firewall translates port 4112/)
})

test('route_localnet is told of by the doctor and by apply', async (t) => {
  const { backend } = await bareHosts(t)
  await shell(backend, 'echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet')
  const applied = await truepeer(backend, 'host-setup apply')
  assert.match(
    applied.stdout,
    /^Note: route_localnet is on \(eth0\): what is translated from 127\.0\.0\.1 to a container/m,
  )
  const { found } = await examine(backend, '-4 127.0.0.1:4112')
  assert.equal(found.get('route_localnet')?.status, 'warn')
  assert.match(found.get('route_localnet')?.detail ?? '', /^on \(eth0\)/)
  await shell(backend, 'echo 0 > /proc/sys/net/ipv4/conf/eth0/route_localnet')
  assert.doesNotMatch((await truepeer(backend, 'host-setup apply')).stdout, /Note/)
})

test('what it means that the app does not listen is for the operator to say', async (t) => {
  const { backend } = await bareHosts(t)
  await truepeer(backend, 'host-setup apply')
  for (const [appCheck, status] of [
    ['none', 'fail'],
    ['close-port', 'warn'],
    ['on-demand', 'ok'],
  ] as const) {
    const { exitCode, found } = await examine(backend, `-4 127.0.0.1:4112 --app-check ${appCheck}`)
    assert.equal(found.get('app-ipv4')?.status, status, appCheck)
    assert.equal(exitCode, status === 'fail' ? 1 : 0, appCheck)
  }
})

test('on a host without IPv6 the doctor says once what that means', async (t) => {
  const { backend } = await bareHosts(t)
  await shell(backend, 'for name in all lo; do echo 1 > /proc/sys/net/ipv6/conf/$name/disable_ipv6; done')
  await truepeer(backend, 'host-setup apply')
  await listenIn(backend, '127.0.0.1:4112', 'app')
  const words = 'doctor agent -l 10.128.0.2:110 -4 127.0.0.1:4112 -6 [::1]:4112 --allow-all-subnets --json'
  const { exitCode, stdout } = await truepeer(backend, words)
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] }
  const about6 = findings.filter(({ name }) => name.endsWith('ipv6'))
  assert.deepEqual(
    about6.map(({ name, status }) => `${status} ${name}`),
    ['warn ipv6'],
  )
  assert.equal(exitCode, 0)
})
