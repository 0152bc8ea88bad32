// For tests: the entry of a worker that gets stuck when it is told to. Its clients stay as long as they send no line.
import { type Endpoint, receivedEndpoint } from '../../address/endpoint.ts'
import { LineRole } from '../connection/test-loop.ts'
import { LetterEntrance } from '../flow/test-flows.ts'
import { runWorker } from './worker-thread.ts'

export type TestRoleOptions = {
  readonly worker: null
  readonly entrance: null
  /** Where datagrams go. */
  readonly datagramEntrance: Endpoint
  /** Who makes it is stuck until the cell is not 0. */
  readonly service: { readonly until: Int32Array }
}

const NOWHERE: Endpoint = { address: { family: 4, w0: 0, w1: 0, w2: 0, w3: 0 }, port: 9 }

runWorker<TestRoleOptions, LineRole>(() => ({
  makeService({ until }) {
    Atomics.wait(until, 0, 0)
    return new LineRole(NOWHERE)
  },
  makeEntrance: () => new LineRole(NOWHERE),
  makeDatagramEntrance: (target) => new LetterEntrance(receivedEndpoint(target)),
  warmUp() {
    throw new Error('No test warms it up')
  },
}))
