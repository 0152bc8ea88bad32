import assert from 'node:assert/strict'
import { test } from 'node:test'
import { beat, Gate, REAL_CLOCK } from './pace.ts'

/** The first factors of a key's beat. */
function factors(key: string, count: number): number[] {
  const beats = beat(key)
  return Array.from({ length: count }, () => beats.next().value)
}

test('a beat depends on its key alone', () => {
  assert.deepEqual(factors('my-tcp-lb/a/b', 10), factors('my-tcp-lb/a/b', 10))
  assert.notDeepEqual(factors('my-tcp-lb/a/b', 10), factors('my-tcp-lb/a/c', 10))
})

test('the first factors of many keys are spread evenly from 0 to 1, later ones are close to 1', () => {
  const tenths = new Array<number>(10).fill(0)
  for (let index = 0; index < 1_000; index++) {
    const [first, ...later] = factors(`1 10.0.0.${index} 110`, 4)
    tenths[Math.floor(first * 10)] += 1
    assert.ok(later.every((factor) => factor >= 0.95 && factor <= 1.05))
  }
  assert.ok(Math.min(...tenths) > 60 && Math.max(...tenths) < 150, tenths.join())
})

test('a beat does not drift: the mean of its factors is 1', () => {
  const later = factors('a', 5_001).slice(1)
  const mean = later.reduce((sum, factor) => sum + factor, 0) / later.length
  assert.ok(Math.abs(mean - 1) < 0.005, `${mean}`)
})

test('a gate lets in as many as it has places, then one for each that leaves, in the order in which they came', async () => {
  const gate = new Gate(2, 60_000)
  const entered: number[] = []
  const leaves: (() => void)[] = []
  for (let index = 0; index < 5; index++) {
    void gate.enter().then((leave) => {
      entered.push(index)
      leaves.push(leave)
    })
  }
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  await turn()
  assert.deepEqual(entered, [0, 1])
  leaves[1]()
  leaves[1]()
  await turn()
  assert.deepEqual(entered, [0, 1, 2])
  for (let index = 0; index < 5; index++) {
    leaves[index]()
    await turn()
  }
  assert.deepEqual(entered, [0, 1, 2, 3, 4])
  // All places are free again.
  const again = await Promise.all([gate.enter(), gate.enter()])
  for (const leave of again) leave()
})

test('who holds a place for too long does not hold up the others', async () => {
  const gate = new Gate(1, 5)
  const held = await gate.enter()
  const next = await gate.enter()
  // Its place is no longer its own to give back.
  held()
  let hasEntered = false
  const third = gate.enter().then((leave) => {
    hasEntered = true
    return leave
  })
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(hasEntered, false)
  next()
  ;(await third)()
})

test('sleep ends with its signal and never rejects', async () => {
  const stop = new AbortController()
  const slept = REAL_CLOCK.sleep(60_000, stop.signal)
  stop.abort()
  await slept
  await REAL_CLOCK.sleep(60_000, stop.signal)
})
