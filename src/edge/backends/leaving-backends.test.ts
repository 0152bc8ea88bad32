import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { type Leaver, LeavingBackends } from './leaving-backends.ts'

function leaver(id: number, drainingTimeoutMs: number): Leaver {
  const key = `web/group/b${id}`
  return { idKey: `${key} 192.0.2.${id} 80`, id, key, address: `192.0.2.${id}`, port: 80, drainingTimeoutMs }
}

/** What was done, in its order. */
function startDrains(): { readonly drains: LeavingBackends; readonly done: string[] } {
  const done: string[] = []
  const drains = new LeavingBackends({
    end: (ids) => done.push(`end ${ids.join(' ')}`),
    release: (idKey) => done.push(`release ${idKey.split(' ')[0]}`),
    open: (id) => id * 10,
  })
  return { drains, done }
}

test('connections are ended when the draining time of their backend is over, with 0 at once and together', (t) => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  t.after(() => mock.timers.reset())
  const { drains, done } = startDrains()
  drains.start([leaver(1, 0), leaver(2, 5_000), leaver(3, 0)])
  assert.deepEqual(done.splice(0), ['end 1 3', 'release web/group/b1', 'release web/group/b3'])
  assert.deepEqual(drains.ids(), [2])
  assert.deepEqual(drains.list(), [
    { key: 'web/group/b2', address: '192.0.2.2', port: 80, open: 20, endsAt: '1970-01-01T00:00:05.000Z' },
  ])
  mock.timers.tick(4_999)
  assert.deepEqual(done, [])
  mock.timers.tick(1)
  assert.deepEqual(done, ['end 2', 'release web/group/b2'])
  assert.deepEqual(drains.list(), [])
})

test('a backend that is back in its service is neither ended nor released, and the others are', (t) => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  t.after(() => mock.timers.reset())
  const { drains, done } = startDrains()
  const back = leaver(2, 5_000)
  drains.start([back, leaver(3, 5_000)])
  drains.cancel((idKey) => idKey === back.idKey)
  mock.timers.tick(10_000)
  assert.deepEqual([done, drains.list()], [['end 3', 'release web/group/b3'], []])
})
