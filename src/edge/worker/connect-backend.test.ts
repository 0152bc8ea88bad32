// From where an edge connects to its backends, when ports run out: on a host of its own, with four ephemeral ports.
import assert from 'node:assert/strict'
import { after, before, suite, type TestContext, test } from 'node:test'
import { parseIpAddress } from '../../address/ip-address.ts'
import type { Host } from '../../lab/host.ts'
import { Lab } from '../../lab/lab.ts'
import { bindTo, close, openStream, setReuseAddress } from '../../linux/socket.ts'
import { METRICS } from '../../telemetry/metrics.ts'
import { Availability } from '../balance/availability.ts'
import { TestEdge } from '../test-edge.ts'

const PORTS = [61_001, 61_002, 61_003, 61_004] as const

suite('with four ephemeral ports', () => {
  const lab = new Lab()
  let host: Host

  before(async () => {
    host = await lab.addHost('edge')
  })
  after(() => lab.close())

  async function setPorts(first: number, last: number): Promise<void> {
    const { stderr } = await host.run('sh', ['-c', `echo ${first} ${last} > /proc/sys/net/ipv4/ip_local_port_range`])
    assert.equal(stderr, '')
  }

  /** An edge whose `clients` have connected before the ports became few; nobody is served yet. */
  async function start(
    t: TestContext,
    backends: number,
    sourceAddresses: readonly string[],
    clients: number,
  ): Promise<TestEdge> {
    await setPorts(32_768, 60_999)
    const edge = host.enter(() => {
      const made = new TestEdge(t, backends, { sourceAddresses })
      for (let client = 0; client < clients; client++) made.loop.connect()
      return made
    })
    await setPorts(PORTS[0], PORTS[3])
    return edge
  }

  function serve(edge: TestEdge, clients: number): void {
    host.enter(() => {
      edge.loop.until('all accepted', () => edge.loop.counters.read(METRICS.accepted.slot) === clients)
      edge.loop.settle()
    })
  }

  test('each address has all ports towards each backend; then the connection fails and says why', async (t) => {
    const edge = await start(t, 1, ['127.0.0.2', '127.0.0.3'], 9)
    serve(edge, 9)
    assert.deepEqual(edge.open().backends, [8])
    assert.deepEqual(edge.loop.ended, ['connect-failed'])
    assert.equal(edge.records[0].refusal, 'no-source-port')

    const two = await start(t, 2, ['127.0.0.2'], 8)
    serve(two, 8)
    assert.deepEqual(two.open().backends, [4, 4])
    assert.deepEqual(two.loop.ended, [])
  })

  test('a backend towards which no port is left is replaced by another', async (t) => {
    const edge = await start(t, 2, ['127.0.0.2'], 4)
    edge.show(Availability.up, Availability.down)
    serve(edge, 4)
    await setPorts(32_768, 60_999)
    host.enter(() => [edge.loop.connect(), edge.loop.connect()])
    await setPorts(PORTS[0], PORTS[3])
    edge.show(Availability.up, Availability.up)
    serve(edge, 6)
    assert.deepEqual(edge.loop.ended, [])
    assert.deepEqual(edge.open().backends, [4, 2])
    assert.equal(edge.backendCounters(0).connectFailures, 1)
  })

  test('ports that an agent on this host has bound to clients are shared', async (t) => {
    for (const sourceAddresses of [[], ['127.0.0.2']]) {
      const edge = await start(t, 1, sourceAddresses, 4)
      const bound = host.enter(() =>
        PORTS.map((port) => {
          const fd = openStream(4)
          const address = parseIpAddress('127.0.0.9')
          assert.ok(address)
          assert.equal(setReuseAddress(fd) || bindTo(fd, address, port), 0)
          return fd
        }),
      )
      serve(edge, 4)
      for (const fd of bound) close(fd)
      assert.deepEqual(edge.loop.ended, [])
      assert.deepEqual(edge.open().backends, [4])
    }
  })
})
