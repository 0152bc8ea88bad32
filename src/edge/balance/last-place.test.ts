// Two workers, as threads, for the last place of a group. The file is also what those threads run.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { endpointOf } from '../../dataplane/connection/test-loop.ts'
import { TestPlan } from '../test-plan.ts'
import { Availability } from './availability.ts'
import { type BackendCells, makeCells, setAvailability } from './backend-table.ts'
import { BackendChooser } from './choose-backend.ts'
import type { Plan } from './plan.ts'

const CLIENT = endpointOf('192.0.2.7:1007')
const SERVER = endpointOf('203.0.113.10:110')
const TURNS = 30_000
const WORKERS = 2

/** What the threads share: `held` is how many have the place now, as they count it themselves. */
type Shared = {
  readonly plan: Plan
  readonly cells: BackendCells
  readonly held: Int32Array
  readonly ready: Int32Array
  readonly index: number
}

/** Takes a place and gives it back, many times; says how often the first group was chosen and how many had it at once. */
function takeTurns({ plan, cells, held, ready, index }: Shared): { readonly taken: number; readonly most: number } {
  const chooser = new BackendChooser(plan, cells, index)
  Atomics.add(ready, 0, 1)
  while (Atomics.load(ready, 0) < WORKERS);
  let taken = 0
  let most = 0
  for (let turn = 0; turn < TURNS; turn++) {
    const candidate = chooser.first(CLIENT, SERVER)
    assert.ok(candidate !== undefined)
    if (!chooser.enter()) continue
    if (candidate.groupId === 0) {
      taken++
      most = Math.max(most, Atomics.add(held, 0, 1) + 1)
      Atomics.sub(held, 0, 1)
    }
    Atomics.sub(cells.groupOpen, candidate.groupId, 1)
  }
  return { taken, most }
}

async function shareLastPlace(): Promise<void> {
  const planned = new TestPlan(
    [
      { count: 1, region: 'here', maxConnections: 1 },
      { count: 1, region: 'there' },
    ],
    (id) => ({ address: '127.0.0.1', port: id + 1 }),
    { localRegion: 'here' },
  )
  const cells = makeCells(WORKERS)
  for (const id of planned.groupOf.keys()) setAvailability(cells, id, planned.groupOf[id], Availability.up)
  planned.spread(cells)
  const one = (): Int32Array => new Int32Array(new SharedArrayBuffer(4))
  const shared = { plan: planned.plan, cells, held: one(), ready: one() }
  const results = await Promise.all(
    Array.from({ length: WORKERS }, (_, index) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: { ...shared, index } })
      return new Promise<ReturnType<typeof takeTurns>>((resolve, reject) => {
        worker.on('message', resolve).on('error', reject)
      })
    }),
  )
  assert.ok(
    results.every(({ taken }) => taken > 0),
    JSON.stringify(results),
  )
  assert.equal(Math.max(...results.map(({ most }) => most)), 1)
  assert.equal(cells.groupOpen[0], 0)
}

if (isMainThread) test('the last place of a group goes to one worker, however many look at once', shareLastPlace)
else parentPort?.postMessage(takeTurns(workerData as Shared))
