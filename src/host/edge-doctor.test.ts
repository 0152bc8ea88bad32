import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import { type Endpoint, parseEndpoint } from '../address/endpoint.ts'
import { parseIpAddress } from '../address/ip-address.ts'
import { checkPortsForBackends, type EdgeDoctorOptions, runEdgeDoctor } from './edge-doctor.ts'
import type { Finding } from './finding.ts'

const GOOD: EdgeDoctorOptions = {
  problems: [],
  warnings: [],
  frontends: [],
  datagramFrontends: [],
  services: [{ name: 'mail', backends: [endpoint('192.0.2.1:110'), endpoint('[2001:db8::1]:110')] }],
  sourceAddresses: [],
  assignsAddresses: false,
  controller: undefined,
  maxConnections: 10,
  flowsMax: 0,
  reach: async () => undefined,
}

function endpoint(text: string): Endpoint {
  const parsed = parseEndpoint(text)
  assert.ok(parsed !== undefined)
  return parsed
}

function address(text: string) {
  const parsed = parseIpAddress(text)
  assert.ok(parsed !== undefined)
  return parsed
}

/** The findings of a name, and the exit status. */
async function examine(name: string, options: Partial<EdgeDoctorOptions>) {
  let output = ''
  const exitCode = await runEdgeDoctor({ ...GOOD, ...options }, true, (text) => {
    output += text
  })
  const { findings } = JSON.parse(output) as { readonly findings: readonly Finding[] }
  for (const { remedy, status } of findings) assert.equal(remedy === '', status === 'ok')
  return { exitCode, found: findings.filter((finding) => finding.name === name) }
}

test('an edge whose backends can be reached is well', async () => {
  const { exitCode, found } = await examine('backends', {})
  assert.equal(exitCode, 0)
  assert.deepEqual(
    found.map(({ status, detail }) => [status, detail]),
    [['ok', 'mail: all 2 accept a connection']],
  )
})

test('a service of which some backends cannot be reached is a warning, and one without any fails', async () => {
  const isV6 = ({ address: { family } }: Endpoint): boolean => family === 6
  const some = await examine('backends', { reach: async (it) => (isV6(it) ? 'ECONNREFUSED' : undefined) })
  assert.match(some.found[0].detail, /^mail: 1 of 2 does not .*: \[2001:db8::1\]:110 \(ECONNREFUSED\)$/)
  assert.deepEqual([some.found[0].status, some.exitCode], ['warn', 0])
  const none = await examine('backends', { reach: async () => 'ETIMEDOUT' })
  assert.deepEqual([none.found[0].status, none.exitCode], ['fail', 1])
})

test('the port of a frontend is free, or taken, or at an address that is not there', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const frontends = [endpoint(`127.0.0.1:${port}`), endpoint('203.0.113.254:40110')]
  const { found } = await examine('listen', { frontends })
  assert.deepEqual(
    found.map(({ status }) => status),
    ['fail', 'warn'],
  )
  assert.match(found[0].detail, /is taken by .*\(pid \d+\)/)
  assert.match(found[1].remedy, /--assign-addresses/)
  const assigned = await examine('listen', { frontends: [frontends[1]], assignsAddresses: true })
  assert.equal(assigned.found[0].status, 'ok')
})

test('a frontend of UDP has a port of its own, and a queue', async (t) => {
  // No port that the kernel gives to others meanwhile: it is looked at for TCP, too.
  const taken = createSocket('udp4').bind(20_110, '127.0.0.1')
  t.after(() => taken.close())
  await once(taken, 'listening')
  const at = endpoint('127.0.0.1:20110')
  const { found } = await examine('udp-listen', { frontends: [at], datagramFrontends: [at] })
  assert.match(found[0].detail, /is taken by .*\(pid \d+\)/)
  assert.equal((await examine('listen', { frontends: [at] })).found[0].status, 'ok')
  const free = { datagramFrontends: [endpoint('127.0.0.1:20111')] }
  assert.equal((await examine('udp-listen', free)).found[0].status, 'ok')
  assert.match((await examine('udp-queue', free)).found[0].detail, / \d+ small datagrams/)
})

test('only a port for which a privilege is missing is said to need it', async () => {
  // A link-local address without its interface is not one that can be listened on.
  const { found } = await examine('listen', { frontends: [endpoint('[fe80::1]:40110')] })
  assert.deepEqual(
    found.map(({ status, detail, remedy }) => [status, detail, remedy]),
    [['fail', '[fe80::1]:40110: EINVAL', 'give the forwarding rule another address or port']],
  )
})

test('sources have to be addresses of this host', async () => {
  const { found, exitCode } = await examine('source-ranges', {
    sourceAddresses: [address('127.0.0.1'), address('203.0.113.254')],
  })
  assert.match(found[0].detail, /^203\.0\.113\.254 is not an address of this host$/)
  assert.equal(exitCode, 1)
})

test('problems of the configuration fail, and warnings do not', async () => {
  const warned = await examine('configuration', { warnings: ['it is odd'] })
  assert.deepEqual([warned.found[0].status, warned.exitCode], ['warn', 0])
  const wrong = await examine('configuration', { problems: ['it is wrong', 'so is this'] })
  assert.deepEqual([wrong.found.length, wrong.exitCode], [2, 1])
})

const TOKEN = /^put the token that "truepeer controller token create --user edge-1 --role edge" prints into the file/
for (const [what, answer, status, remedy] of [
  ['that knows the edge', { kind: 'known' }, 'ok', /^$/],
  ['for which the token is not that of this edge', { kind: 'refused', status: 403, message: '' }, 'fail', TOKEN],
  ['that does not know the token', { kind: 'refused', status: 401, message: '' }, 'fail', TOKEN],
  ['that cannot answer now', { kind: 'refused', status: 503, message: '' }, 'fail', /^see the log of the controller$/],
  ['that does not answer', { kind: 'unreachable', message: 'ECONNREFUSED' }, 'fail', /^start the controller, or/],
] as const) {
  test(`a controller ${what}: ${status}`, async () => {
    const { found } = await examine('controller', {
      controller: { name: 'edge-1', file: '/var/lib/truepeer/x', ask: async () => answer },
    })
    assert.equal(found[0].status, status)
    assert.match(found[0].remedy, remedy)
  })
}

test('each source address gives as many connections to a backend as there are ports', () => {
  const read = (): string => '32768\t60999'
  const statusOf = (sources: number, connections: number): string =>
    checkPortsForBackends(read, sources, connections).status
  assert.deepEqual([statusOf(0, 28_232), statusOf(0, 28_233), statusOf(2, 56_464)], ['ok', 'warn', 'ok'])
})
