// A controller that is killed under a load of changes, again and again.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { SqliteStore } from '../../src/controller/store/sqlite-store.ts'
import type { JsonObject, JsonValue } from '../../src/controller/store/store.ts'
import { type LiveController, PROJECT, startController } from '../rig/controller.ts'
import { testDirectory } from '../rig/directory.ts'
import { eventually, pause } from '../rig/eventually.ts'

const WRITERS = 6
const NAMES_PER_WRITER = 5
/** From the first acknowledged change to the kill. */
const LOAD_MS_MAX = 300
const COLLECTION = `${PROJECT}/global/healthChecks`

/** The description of a resource; undefined: there is none. */
type State = string | undefined
/** What a writer knows about a name: what was acknowledged last, and what it was asked for when nobody answered. */
type Known = { acknowledged: State; attempted: State }

/** What all writers know. */
type Ledger = { readonly known: Map<string, Known>; readonly operations: Set<string>; acknowledgedCount: number }

/** Kills a controller so many times, and holds after each that nothing acknowledged is lost and nothing half there. */
export async function killUnderLoad(t: TestContext, kills: number): Promise<void> {
  const directory = join(testDirectory(t), 'data')
  const ledger: Ledger = { known: new Map(), operations: new Set(), acknowledgedCount: 0 }
  let open = 0
  for (let kill = 0; kill < kills; kill++) {
    const controller = await startController(undefined, directory)
    t.after(() => controller.program.kill())
    // The controller itself sees what it has to, not only who opens its files.
    await checkServed(controller, ledger)
    const countBefore = ledger.acknowledgedCount
    const writers = Array.from({ length: WRITERS }, (_, writer) => write(controller, ledger, writer))
    await eventually('a change is acknowledged', () => ledger.acknowledgedCount > countBefore)
    await pause(Math.random() * LOAD_MS_MAX, 'it is killed at any moment')
    controller.program.signal('SIGKILL')
    await Promise.all(writers)
    await controller.program.exited
    open += checkStored(directory, ledger)
  }
  t.diagnostic(`${kills} kills, ${ledger.acknowledgedCount} changes acknowledged, ${open} open at a kill and stored`)
}

/** Changes resources until nobody answers any more. */
async function write(controller: LiveController, ledger: Ledger, writer: number): Promise<void> {
  for (let count = 0; ; count++) {
    const name = `hc-${writer}-${count % NAMES_PER_WRITER}`
    const known = ledger.known.get(name) ?? { acknowledged: undefined, attempted: undefined }
    ledger.known.set(name, known)
    const isDeleted = known.acknowledged !== undefined && Math.random() < 0.3
    known.attempted = isDeleted ? undefined : `${count} ${Math.random()}`
    try {
      const { status, body } = await send(controller, name, known)
      assert.equal(status, 200, JSON.stringify(body))
      known.acknowledged = known.attempted
      ledger.operations.add((body as { readonly name: string }).name)
      ledger.acknowledgedCount += 1
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error
      return
    }
  }
}

function send(controller: LiveController, name: string, { acknowledged, attempted }: Known) {
  if (attempted === undefined) return controller.ask('DELETE', `${COLLECTION}/${name}`)
  const description = attempted
  if (acknowledged !== undefined) return controller.ask('PATCH', `${COLLECTION}/${name}`, { description })
  return controller.ask('POST', COLLECTION, { name, description, type: 'TCP', tcpHealthCheck: { port: 80 } })
}

/** @returns how many changes were stored that nobody was told about */
function checkStored(directory: string, ledger: Ledger): number {
  const store = new SqliteStore(directory)
  let openCount = 0
  try {
    for (const [name, known] of ledger.known) {
      const resource = store.get('truepeer', 'healthChecks', 'global', name)?.resource
      const found = resource?.['description'] as State
      assert.equal(resource === undefined, found === undefined)
      const isKnown = found === known.acknowledged || found === known.attempted
      assert.ok(isKnown, `${name} is ${found}, acknowledged ${known.acknowledged}, attempted ${known.attempted}`)
      if (found !== known.acknowledged) openCount += 1
      known.acknowledged = found
      known.attempted = found
    }
    checkAudit(store, ledger)
    const operations = store.operations('truepeer', undefined, undefined, 1_000_000)
    const names = new Set(operations.map(({ name }) => name))
    for (const name of ledger.operations) assert.ok(names.has(name), `the operation ${name} is lost`)
    // Each change grew the revision by one, and left one operation and one record; the first start made the project.
    const ownChanges = store.list('truepeer', 'projects').length
    assert.equal(operations.length + ownChanges, store.revision())
    assert.equal(store.audit(1_000_000).length, operations.length)
  } finally {
    store.close()
  }
  return openCount
}

/** The latest record about each resource says what it is now. */
function checkAudit(store: SqliteStore, ledger: Ledger): void {
  const latest = new Map<string, JsonValue>()
  for (const { target, after } of store.audit(1_000_000)) {
    const name = target.slice(target.lastIndexOf('/') + 1)
    if (!latest.has(name)) latest.set(name, after)
  }
  for (const [name, { acknowledged }] of ledger.known) {
    const after = latest.get(name) as JsonObject | null | undefined
    assert.equal(after?.['description'], acknowledged, `the audit log about ${name}`)
  }
}

async function checkServed(controller: LiveController, ledger: Ledger): Promise<void> {
  const { body } = await controller.ask('GET', `${COLLECTION}?maxResults=500`)
  const { items = [] } = body as { readonly items?: readonly { readonly name: string; readonly description: string }[] }
  const served = Object.fromEntries(items.map(({ name, description }) => [name, description]))
  const known = [...ledger.known].filter(([, { acknowledged }]) => acknowledged !== undefined)
  assert.deepEqual(served, Object.fromEntries(known.map(([name, { acknowledged }]) => [name, acknowledged])))
}
