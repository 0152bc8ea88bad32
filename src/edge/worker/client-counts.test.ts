import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type IpAddress, ipv4Address, ipv6Address, parseIpAddress } from '../../address/ip-address.ts'
import { ClientCounts, makeClientCells } from './client-counts.ts'

function address(text: string): IpAddress {
  const parsed = parseIpAddress(text)
  assert.ok(parsed)
  return parsed
}

test('connections of a client are counted in all workers together, and taken back', () => {
  const cells = makeClientCells()
  const [one, two] = [new ClientCounts(cells), new ClientCounts(cells)]
  const [client, other] = [address('192.0.2.1'), address('192.0.2.2')]
  assert.deepEqual([one.enter(client), two.enter(client), one.enter(other), two.enter(client)], [1, 2, 1, 3])
  two.leave(client)
  one.leave(client)
  assert.equal(one.enter(client), 2)
})

test('an IPv6 client is its /64, and a mapped address the IPv4 address in it', () => {
  const counts = new ClientCounts(makeClientCells())
  const entered = (text: string): number => counts.enter(address(text))
  assert.deepEqual([entered('2001:db8::1'), entered('2001:db8::ffff:2'), entered('2001:db8:0:1::1')], [1, 2, 1])
  assert.deepEqual([entered('192.0.2.1'), entered('::ffff:192.0.2.1')], [1, 2])
})

test('many clients are told apart, those of neighbouring addresses too, and leave nothing behind', () => {
  const counts = new ClientCounts(makeClientCells())
  const clients = Array.from({ length: 20_000 }, (_, index) => [
    ipv4Address(0xc6120000 + index),
    ipv6Address(0x20010db8, index, 0, 1),
  ]).flat()
  const met = clients.filter((client) => counts.enter(client) !== 1).length
  assert.ok(met < 2_000, `${met} of 40,000 met others in all their cells`)
  // Each cell has less than one of them on average: nobody comes near the share of a client.
  assert.ok(Math.max(...clients.map((client) => counts.enter(client))) < 12)
  for (const client of [...clients, ...clients]) counts.leave(client)
  for (const client of clients) {
    assert.equal(counts.enter(client), 1)
    counts.leave(client)
  }
})

test('who meets whom is another in each process', () => {
  const client = ipv4Address(1)
  const placed = (): string => {
    const cells = makeClientCells()
    new ClientCounts(cells).enter(client)
    return cells.indexOf(1).toString()
  }
  assert.ok(new Set(Array.from({ length: 8 }, placed)).size > 1)
})
