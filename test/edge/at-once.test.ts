// An edge inside this process, whose main thread gets no turn between an answer and what a client sees then: as late as
// that of a busy machine may be.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Position } from '../../src/balancing/google-regions.ts'
import { parseEdge } from '../../src/cli/edge.ts'
import { connectSocket, endpointOf, TestApp, type TestSocket } from '../../src/dataplane/connection/test-loop.ts'
import { type RunningEdge, startEdge } from '../../src/edge/edge.ts'
import type { BackendGroup } from '../../src/snapshot/snapshot.ts'
import { testBackend, testFrontend, testGroup, testService, testSnapshot } from '../../src/snapshot/test-snapshot.ts'

const FRONTEND = { address: '127.0.0.1', port: 7000 }
const REGIONS = ['near', 'far']
const WAIT_MS = 5_000

/** Where the edge and the two regions are. */
function positionsOf(near: number, far: number): ReadonlyMap<string, Position> {
  const longitudes = { edge: 0, near, far }
  return new Map(Object.entries(longitudes).map(([region, longitude]) => [region, { latitude: 0, longitude }]))
}

/** An edge with a group in each region, and what its next reload reads. */
async function start(t: TestContext) {
  const apps = REGIONS.map(() => new TestApp())
  const groups = REGIONS.map((region, place) => {
    const { port } = apps[place].endpoint
    return testGroup({
      name: region,
      region,
      zone: `${region}-a`,
      backends: [testBackend({ address: '127.0.0.1', port })],
    })
  })
  const next = { groups, positions: positionsOf(10, 20) }
  const frontend = testFrontend({ ...FRONTEND, proxyHeader: { kind: 'NONE' } })
  const settings = parseEdge(['--listen', '127.0.0.1:7000', '--backend', '127.0.0.1:1'])
  let edge: Pick<RunningEdge, 'stopNow'> | undefined
  t.after(() => {
    edge?.stopNow()
    for (const app of apps) app.close()
  })
  const running = await startEdge(
    {
      ...settings,
      place: { region: 'edge', zone: undefined, proximity: 'distance', positions: next.positions },
      limits: { connectionsMax: 100, connectionsPerWorkerMax: 100, flowsMax: 0 },
      warmsUp: false,
      strayedSockets: 'refused',
      unopenedFrontends: 'refused',
      readSnapshot: () => testSnapshot([frontend], [testService({ healthCheck: undefined, groups: next.groups })]),
      readPositions: async () => next.positions,
    },
    {
      log: () => undefined,
      inherited: [],
      onWorkers: (program) => {
        edge = program
      },
      onFatal: (error) => assert.fail(error),
      abort: (error) => assert.fail(error),
    },
  )
  return { edge: running, apps, next }
}

/** The region of the app that a client gets who connects now, or the error that it sees; nothing else runs meanwhile. */
function answer(apps: readonly TestApp[]): string {
  const client = connectSocket(endpointOf('127.0.0.1:7000'))
  const idle = new Int32Array(new SharedArrayBuffer(4))
  try {
    for (let waitedMs = 0; waitedMs < WAIT_MS; waitedMs++) {
      const taken = apps.map((app) => app.take())
      for (const socket of taken) socket?.close()
      const place = taken.findIndex((socket: TestSocket | undefined) => socket !== undefined)
      if (place >= 0) return REGIONS[place]
      const seen = client.receive()
      if (seen !== 'nothing') return seen
      Atomics.wait(idle, 0, 0, 1)
    }
    return 'nothing'
  } finally {
    client.close()
  }
}

function withCapacity(group: BackendGroup, capacityScaler: number): BackendGroup {
  return { ...group, balancing: { ...group.balancing, capacityScaler } }
}

test('what an edge has answered, its clients see at once: drain, enable, a reload, and other positions', async (t) => {
  const { edge, apps, next } = await start(t)
  const reload = async (change: Partial<typeof next>): Promise<string> => {
    Object.assign(next, change)
    await edge.reload()
    return answer(apps)
  }
  const steer = async (place: number, action: 'drain' | 'enable'): Promise<string> => {
    // All that was due before is done.
    await turn()
    await turn()
    const result = edge.steer(`127.0.0.1:${apps[place].endpoint.port}`, action)
    assert.equal(result.kind, 'done')
    return answer(apps)
  }
  assert.equal(answer(apps), 'near')
  assert.equal(await steer(0, 'drain'), 'far')
  assert.equal(await steer(1, 'drain'), 'ECONNRESET')
  assert.equal(await steer(1, 'enable'), 'far')
  assert.equal(await steer(0, 'enable'), 'near')
  const [near, far] = next.groups
  assert.equal(await reload({ groups: [withCapacity(near, 0), far] }), 'far')
  assert.equal(await reload({ groups: [near, far] }), 'near')
  assert.equal(await reload({ positions: positionsOf(20, 10) }), 'far')
})
