import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatIpAddress, type IpAddress, parseIpAddress } from '../../address/ip-address.ts'
import { OwnAddresses } from './own-addresses.ts'

/** Routes that a test changes, and who was asked for since the last time. */
function start(routes: Record<string, string>) {
  const asked: string[] = []
  const own = new OwnAddresses((towards: IpAddress) => {
    const text = formatIpAddress(towards)
    asked.push(text)
    return parseIpAddress(routes[text] ?? '')
  })
  return { own, taken: () => asked.splice(0) }
}

test('each address is told once, in order, and those without a route are left out', () => {
  const { own } = start({ '10.0.0.1': '10.9.0.9', '10.0.0.2': '10.1.0.1', '10.0.0.3': '10.9.0.9' })
  own.use(['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', 'no address'])
  assert.deepEqual(own.list(), ['10.1.0.1', '10.9.0.9'])
})

test('only backends that are new are asked for, and those that are gone are forgotten', () => {
  const { own, taken } = start({ '10.0.0.1': '10.9.0.9', '10.0.0.2': '10.1.0.1' })
  own.use(['10.0.0.1'])
  assert.deepEqual(taken(), ['10.0.0.1'])
  own.use(['10.0.0.1', '10.0.0.2', '10.0.0.2'])
  assert.deepEqual(taken(), ['10.0.0.2'])
  own.use(['10.0.0.2'])
  assert.deepEqual([taken(), own.list()], [[], ['10.1.0.1']])
})

test('after as many calls as there are parts every route has been asked for again', () => {
  const routes = Object.fromEntries(Array.from({ length: 7 }, (_, index) => [`10.0.0.${index}`, '10.9.0.9']))
  const { own, taken } = start(routes)
  own.use(Object.keys(routes))
  taken()
  routes['10.0.0.6'] = '10.1.0.1'
  const parts = [1, 2, 3].map(() => {
    own.askAgain(3)
    return taken().length
  })
  assert.deepEqual(parts, [3, 3, 1])
  assert.deepEqual(own.list(), ['10.1.0.1', '10.9.0.9'])
  own.askAgain(3)
  assert.deepEqual(taken(), ['10.0.0.0', '10.0.0.1', '10.0.0.2'])
})
