// WireGuard behind edge and agent: it listens on every address, answers from the one that it was asked at, and knows its
// peer by the address that datagrams come from. In user space, because not every kernel has it.
import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { IPV4, IPV6 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import { AGENT } from '../rig/agent.ts'
import { testDirectory } from '../rig/directory.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts, routeForAgent } from '../rig/hosts.ts'
import { shell } from '../rig/shell.ts'
import { skipWithout } from '../rig/skip.ts'
import { startTruepeer } from '../rig/truepeer.ts'

const PORT = 51_820
const SERVER = '10.9.0.1'
const CLIENT = '10.9.0.2'
const SKIP = { skip: skipWithout('wireguard-go', 'wg') || (existsSync('/dev/net/tun') ? false : 'needs /dev/net/tun') }

type Tunnel = { readonly host: Host; readonly device: string; readonly publicKey: string; readonly keyFile: string }

/** Starts WireGuard on a host; names of devices are those of sockets that all hosts of this machine share. */
async function startWireGuard(t: TestContext, host: Host, device: string): Promise<Tunnel> {
  const keyFile = join(testDirectory(t), 'key')
  writeFileSync(keyFile, await shell(host, 'wg genkey'), { mode: 0o600 })
  const publicKey = (await shell(host, `wg pubkey < ${keyFile}`)).trim()
  host.start('wireguard-go', ['-f', device])
  await eventually('the device is there', async () => (await host.run('wg', ['show', device])).exitCode === 0)
  return { host, device, publicKey, keyFile }
}

/** Sets one end up, to know the other. */
async function setUp({ host, device, keyFile }: Tunnel, words: string, address: string): Promise<void> {
  await shell(host, `wg set ${device} private-key ${keyFile} ${words}`)
  await host.ip(`address add ${address}/24 dev ${device}`)
  await host.ip(`link set ${device} mtu 1280 up`)
}

test(
  'a tunnel through edge and agent carries what both ends say, and the server knows its client by its own address',
  SKIP,
  async (t) => {
    const { client, edge, backend } = await edgeHosts(t)
    await routeForAgent(backend)
    const at = `tp${process.pid % 100_000}`
    const server = await startWireGuard(t, backend, `${at}s`)
    const roaming = await startWireGuard(t, client, `${at}c`)
    await setUp(server, `listen-port ${PORT} peer ${roaming.publicKey} allowed-ips ${CLIENT}/32`, SERVER)
    const targets = ['-4', `${IPV4.app}:${PORT}`, '-6', `[${IPV6.app}]:${PORT}`]
    await startTruepeer(backend, 'agent', ['-p', 'udp', '-l', AGENT, ...targets, '--allow-all-subnets'])
    for (const address of [IPV4.edge, `[${IPV6.edge}]`]) {
      const words = ['--listen', `${address}:${PORT}`, '--backend', AGENT, '--proxy-header', 'PROXY_V2']
      await startTruepeer(edge, 'edge', ['-p', 'udp', ...words])
    }
    const peer = `peer ${server.publicKey} allowed-ips ${SERVER}/32`
    await setUp(roaming, `listen-port 40000 ${peer} endpoint ${IPV4.edge}:${PORT}`, CLIENT)
    await backend.listen(`${SERVER}:80`, (socket) => socket.end('x'.repeat(1_000_000)))

    const endpoint = async (): Promise<string> =>
      (await shell(backend, `wg show ${server.device} endpoints`)).trim().split('\t')[1]
    const fetch = async (): Promise<number> =>
      Number(await shell(client, `timeout 20 ncat ${SERVER} 80 < /dev/null | wc -c`))
    assert.equal(await fetch(), 1_000_000)
    assert.equal(await endpoint(), `${IPV4.client}:40000`)
    // It moves, to another port and to another address family: the tunnel goes on, and the server sees where it is now.
    await shell(client, `wg set ${roaming.device} listen-port 40001`)
    assert.equal(await fetch(), 1_000_000)
    assert.equal(await endpoint(), `${IPV4.client}:40001`)
    await shell(client, `wg set ${roaming.device} ${peer} endpoint [${IPV6.edge}]:${PORT}`)
    assert.equal(await fetch(), 1_000_000)
    assert.equal(await endpoint(), `[${IPV6.client}]:40001`)
  },
)
