import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClientPlaces } from './client-places.ts'

const PLACES = 80

/** Places, and which connections still have theirs; who is closed leaves. */
function makePlaces() {
  const places = new ClientPlaces(PLACES)
  const open = new Set<string>()
  let port = 0
  return {
    places,
    open,
    enter(remoteAddress: string) {
      const peer = { remoteAddress, remotePort: ++port }
      const name = `${remoteAddress} ${port}`
      open.add(name)
      places.enter(peer, () => {
        open.delete(name)
        places.leave(peer)
      })
      return peer
    },
  }
}

test('a client alone keeps a ninth of the places, and beyond that its oldest connection is closed', () => {
  const { open, enter } = makePlaces()
  for (let count = 0; count < PLACES; count++) enter('192.0.2.1')
  assert.deepEqual(
    [...open],
    Array.from({ length: 8 }, (_, index) => `192.0.2.1 ${73 + index}`),
  )
  enter('::ffff:192.0.2.1')
  assert.deepEqual([open.size, open.has('192.0.2.1 73')], [8, false], 'that is the same client')
  for (let count = 0; count < PLACES; count++) enter('192.0.2.2')
  assert.deepEqual([open.size, open.has('192.0.2.1 74')], [16, true], 'others have a share beside it')
})

test('a client of IPv6 is a /64', () => {
  const { open, enter } = makePlaces()
  for (let index = 0; index < PLACES; index++) enter(`2001:db8::${index}`)
  assert.equal(open.size, 8)
  for (let index = 0; index < PLACES; index++) enter(`2001:db8:0:1::${index}`)
  assert.equal(open.size, 16)
})

test('whoever is known counts no more, and a place that is left is free', () => {
  const { places, open, enter } = makePlaces()
  for (let index = 0; index < 40; index++) places.know(enter('192.0.2.1'))
  assert.equal(open.size, 40)
  const last = Array.from({ length: 10 }, () => enter('192.0.2.1')).at(-1)
  assert.equal(open.size, 44, 'an eighth of what is still free')
  assert.ok(last)
  places.leave(last)
  enter('192.0.2.1')
  assert.equal(open.size, 45, 'the one that has left is still in this set')
})
