import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseEndpoint } from '../../address/endpoint.ts'
import { endpointOf } from '../../dataplane/connection/test-loop.ts'
import { TestPlan } from '../test-plan.ts'
import { OwnEndpoints } from './own-endpoints.ts'

const FRONTEND = '203.0.113.10:53'

test('a client is at no frontend, at no backend, and at no address that nobody has', () => {
  const own = new OwnEndpoints()
  const mayBe = (from: string, to = FRONTEND): boolean => {
    const source = parseEndpoint(from)
    assert.ok(source)
    return own.mayBeClient(source, endpointOf(to))
  }
  const elsewhere = '203.0.113.11:5353'
  const backends = ['10.0.0.2:7000', '[2001:db8::2]:7000']
  assert.deepEqual(
    [elsewhere, ...backends].map((from) => mayBe(from)),
    [true, true, true],
  )
  const forgetFrontend = own.addFrontend(endpointOf(elsewhere))
  const { plan } = new TestPlan([{ count: 1 }, { count: 1 }], (id) => {
    return id === 0 ? { address: '10.0.0.2', port: 7000 } : { address: '2001:db8::2', port: 7000 }
  })
  const forgetBackends = [own.addBackends(plan.groups), own.addBackends(plan.groups)]
  for (const from of [elsewhere, ...backends, '[::ffff:10.0.0.2]:7000']) assert.equal(mayBe(from), false, from)
  for (const from of ['203.0.113.11:53', '10.0.0.2:7001', '10.0.0.3:7000', '[2001:db8::3]:7000']) {
    assert.equal(mayBe(from), true, from)
  }
  forgetBackends[0]()
  assert.equal(mayBe(backends[0]), false, 'another service has it, too')
  forgetBackends[1]()
  forgetFrontend()
  assert.deepEqual(
    [elsewhere, ...backends].map((from) => mayBe(from)),
    [true, true, true],
  )
  // What a frontend on every address was sent to is its own, too.
  assert.equal(mayBe(FRONTEND), false)
  const nobody = [
    '192.0.2.1:0',
    '0.0.0.0:1000',
    '[::]:1000',
    '224.0.0.1:1000',
    '[ff02::1]:1000',
    '255.255.255.255:1000',
  ]
  for (const from of nobody) assert.equal(mayBe(from), false, from)
})
