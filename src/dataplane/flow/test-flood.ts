// For tests: datagrams from very many addresses.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Endpoint } from '../../address/endpoint.ts'
import { DATAGRAMS_PER_BATCH, DatagramBatch, LOCAL_INTS, PEER_INTS } from '../../linux/datagram.ts'
import { writeSockaddr } from '../../linux/sockaddr.ts'
import { METRICS } from '../../telemetry/metrics.ts'
import { endpointOf } from '../connection/test-loop.ts'
import { TestDatagrams, TestFlows } from './test-flows.ts'

const LIVE = 100
const FLOWS_MAX = 400
/** V8 lets the space for new objects grow so far where nobody limits it, as a pool of workers does. */
const GROWTH_BYTES_MAX = 48 * 1024 * 1024

/** Sends datagrams of one byte in batches, from addresses of 127.0.0.0/8 that it makes up; allocates nothing for them. */
export class TestFlood {
  readonly #socket = new TestDatagrams({ at: endpointOf('0.0.0.0:0') })
  readonly #batch = new DatagramBatch()
  readonly #to = new Int32Array(PEER_INTS)
  readonly #from = new Int32Array(LOCAL_INTS)
  readonly #fromBytes = new Uint8Array(this.#from.buffer)

  constructor({ address, port }: Endpoint) {
    writeSockaddr(new Uint8Array(this.#to.buffer), address, port)
    this.#fromBytes.set([0xff, 0xff, 127, 1], 10)
  }

  /** Sends a batch: each datagram from the next address behind `first`, or all from that one. */
  send(first: number, isOne = false, letter = 0x61): void {
    for (let slot = 0; slot < DATAGRAMS_PER_BATCH; slot++) {
      const start = this.#batch.room(slot)
      const address = isOne ? first : first + slot
      for (let byte = 0; byte < 3; byte++) this.#fromBytes[13 + byte] = (address >> (8 * (2 - byte))) & 255
      this.#batch.bytes[start] = letter
      this.#batch.setRange(slot, start, start + 1)
      this.#batch.addressToPeer(slot, this.#to, 0, this.#from, 0)
      this.#batch.enqueue(slot, this.#socket.fd, false)
    }
    this.#batch.sendAll()
    for (let slot = 0; slot < DATAGRAMS_PER_BATCH; slot++) assert.equal(this.#batch.result(slot), 0)
  }

  /** Throws away what has come back. */
  forget(): void {
    while (this.#batch.receive(this.#socket.fd, 0, DATAGRAMS_PER_BATCH) > 0);
  }

  close(): void {
    this.#socket.close()
  }
}

/** Asserts that so many invented addresses end only others of their kind, and take no more memory than there are places. */
export function survivesFlood(t: TestContext, spoofed: number): void {
  const flows = new TestFlows({ flowsMax: FLOWS_MAX })
  const flood = new TestFlood(flows.endpoint)
  const edge = flows.client()
  t.after(() => {
    edge.close()
    flood.close()
    flows.close()
  })
  const asked = Array.from({ length: LIVE }, (_, i) => Buffer.from([0x80 + i, 0x30 + (i % 10)]))
  for (let time = 0; time < 2; time++) assert.equal(flows.ask(edge, ...asked).length, LIVE)
  const opened = flows.counters.read(METRICS.flowsOpened.slot)
  let before = 0
  let after = 0
  for (let sent = 0; sent < spoofed; sent += DATAGRAMS_PER_BATCH) {
    flood.send(0x10000 + sent)
    flows.loop.step(0)
    flows.app.echo()
    flows.loop.step(0)
    flood.forget()
    if (sent % 1_024 !== 0) continue
    const { rss } = process.memoryUsage()
    if (sent < spoofed / 2) before = Math.max(before, rss)
    after = Math.max(after, rss)
  }
  assert.equal(flows.openCount, FLOWS_MAX)
  assert.ok(flows.counters.read(METRICS.flowsOpened.slot) - opened >= spoofed)
  t.diagnostic(`${Math.round((after - before) / 1024)} KiB more in the second half`)
  assert.ok(after - before < GROWTH_BYTES_MAX, `${after - before} bytes`)
  const openedBefore = flows.counters.read(METRICS.flowsOpened.slot)
  assert.equal(flows.ask(edge, ...asked).length, LIVE)
  assert.equal(flows.counters.read(METRICS.flowsOpened.slot), openedBefore, 'they are all still there')
}
