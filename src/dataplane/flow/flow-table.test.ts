import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FlowTable } from './flow-table.ts'
import { KeyIndex } from './key-index.ts'

const KEY_WORDS = 3
const PEER_WORDS = 2

/** The simplest thing that does the same: flows in the order of last use. */
type ModelFlow = { readonly slot: number; readonly key: number; readonly peer: number; isAssured: boolean }

class Model {
  flows: ModelFlow[] = []
  /** By kind: peers in the order in which their lists got the length that they have. */
  readonly order: [number[], number[]] = [[], []]

  list(peer: number, isAssured: boolean): ModelFlow[] {
    return this.flows.filter((flow) => flow.peer === peer && flow.isAssured === isAssured)
  }

  /** The list of a peer has another length. */
  note(peer: number, isAssured: boolean): void {
    const kind = isAssured ? 1 : 0
    this.order[kind] = [...this.order[kind].filter((other) => other !== peer), peer]
  }

  victim(): number {
    for (const isAssured of [false, true]) {
      const peers = this.order[isAssured ? 1 : 0].filter((peer) => this.list(peer, isAssured).length > 0)
      const longest = Math.max(0, ...peers.map((peer) => this.list(peer, isAssured).length))
      const first = peers.find((peer) => this.list(peer, isAssured).length === longest)
      if (first !== undefined) return this.list(first, isAssured)[0].slot
    }
    return -1
  }

  oldest(): number {
    return (this.flows.find((flow) => !flow.isAssured) ?? this.flows[0])?.slot ?? -1
  }

  victimOf(peer: number): number {
    return (this.list(peer, false)[0] ?? this.list(peer, true)[0])?.slot ?? -1
  }
}

const keyOf = (key: number): Int32Array => Int32Array.of(key, 0, key * 7)
const peerOf = (peer: number): Int32Array => Int32Array.of(0, peer)

const operation = fc.record({
  kind: fc.constantFrom('open', 'open', 'touch', 'assure', 'remove', 'evict', 'evictOf'),
  key: fc.integer({ min: 0, max: 30 }),
  peer: fc.integer({ min: 0, max: 4 }),
})

/** Does one operation on both; a key belongs to one peer. */
function apply(table: FlowTable, model: Model, kind: string, key: number, peer: number): void {
  const found = model.flows.find((flow) => flow.key === key)
  assert.equal(table.find(keyOf(key)), found?.slot ?? -1)
  const remove = (slot: number): void => {
    const gone = model.flows.find((flow) => flow.slot === slot)
    assert.ok(gone)
    table.remove(slot)
    model.flows = model.flows.filter((flow) => flow !== gone)
    model.note(gone.peer, gone.isAssured)
  }
  if (kind === 'evict' || kind === 'evictOf') {
    const slot = kind === 'evict' ? table.victim() : table.victimOf(peerOf(peer))
    assert.equal(slot, kind === 'evict' ? model.victim() : model.victimOf(peer))
    if (slot >= 0) remove(slot)
  } else if (kind === 'open' && found === undefined) {
    const slot = table.takeSlot()
    assert.equal(slot === -1, model.flows.length === table.capacity)
    if (slot === -1) return
    table.add(slot, keyOf(key), peerOf(peer))
    model.flows.push({ slot, key, peer, isAssured: false })
    model.note(peer, false)
  } else if (found !== undefined && kind === 'remove') {
    remove(found.slot)
  } else if (found !== undefined && (kind === 'touch' || (kind === 'assure' && !found.isAssured))) {
    model.flows = [...model.flows.filter((flow) => flow !== found), found]
    if (kind === 'touch') return table.touch(found.slot)
    table.assure(found.slot)
    found.isAssured = true
    model.note(found.peer, false)
    model.note(found.peer, true)
  }
}

test('whatever happens, flows are found and make place as in a simple model', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.integer(),
      fc.array(operation, { maxLength: 120, size: 'max' }),
      (capacity, seed, operations) => {
        const table = new FlowTable(KEY_WORDS, PEER_WORDS, capacity, seed)
        const model = new Model()
        for (const { kind, key, peer } of operations) {
          apply(table, model, kind, key, peer)
          assert.equal(table.count, model.flows.length)
          assert.equal(table.victim(), model.victim())
          assert.equal(table.oldest(), model.oldest())
          for (let each = 0; each <= 4; each++) {
            const count = model.flows.filter((flow) => flow.peer === each).length
            assert.equal(table.countOf(peerOf(each)), count)
            assert.equal(table.victimOf(peerOf(each)), model.victimOf(each))
            assert.equal(table.unassuredOf(peerOf(each)), model.list(each, false)[0]?.slot ?? -1)
          }
          for (const flow of model.flows) {
            assert.equal(table.find(keyOf(flow.key)), flow.slot)
            assert.equal(table.isAssured(flow.slot), flow.isAssured)
          }
        }
      },
    ),
  )
})

test('a slot that was taken and given back is the next one', () => {
  const table = new FlowTable(KEY_WORDS, PEER_WORDS, 2, 0)
  const slot = table.takeSlot()
  assert.equal(table.count, 1)
  table.giveBack(slot)
  assert.equal(table.count, 0)
  assert.equal(table.takeSlot(), slot)
})

test('a flood of peers that are heard once takes the oldest of its like, and none that is assured', () => {
  const capacity = 1_000
  const table = new FlowTable(KEY_WORDS, PEER_WORDS, capacity, 1)
  for (let live = 0; live < 100; live++) {
    const slot = table.takeSlot()
    table.add(slot, keyOf(live), peerOf(live))
    table.assure(slot)
  }
  for (let spoofed = 100; spoofed < 100_000; spoofed++) {
    if (table.count === capacity) {
      const slot = table.victim()
      // The one that came 900 before.
      assert.equal(slot, table.find(keyOf(spoofed - 900)))
      table.remove(slot)
    }
    table.add(table.takeSlot(), keyOf(spoofed), peerOf(spoofed))
  }
  for (let live = 0; live < 100; live++) assert.ok(table.find(keyOf(live)) >= 0)
})

test('keys that differ only in their upper bits are found, whichever have been removed', () => {
  const capacity = 4_096
  const [one, other] = [new KeyIndex(1, capacity, 1), new KeyIndex(1, capacity, 2)]
  for (let slot = 0; slot < capacity; slot++) {
    one.insert(slot, Int32Array.of(slot << 16))
    other.insert(slot, Int32Array.of(slot << 16))
  }
  for (let slot = 0; slot < capacity; slot += 3) one.remove(slot)
  for (let slot = 0; slot < capacity; slot++) {
    assert.equal(one.find(Int32Array.of(slot << 16)), slot % 3 === 0 ? -1 : slot)
    assert.equal(other.find(Int32Array.of(slot << 16)), slot)
  }
})
