import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { AccessTokens, roleOf } from './access-tokens.ts'

const scope = (name: string) => `https://www.googleapis.com/auth/${name}`

/** Tokens whose hour passes when `pass` says so. */
function makeTokens(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let nowMs = 0
  const live = new Map<string, string>()
  const keeper = {
    create: ({ user, role }: { user: string; role: string }) => {
      const token = `token-${live.size}-${nowMs}`
      live.set(token, `${role} ${user}`)
      return token
    },
    revoke: (token: string) => void live.delete(token),
  }
  const pass = (seconds: number) => {
    nowMs += seconds * 1000
    t.mock.timers.tick(seconds * 1000)
  }
  return { tokens: new AccessTokens(keeper, () => nowMs), live, pass }
}

test('what an account may do is in its scopes', () => {
  assert.equal(roleOf([scope('devstorage.read_only'), scope('compute')]), 'operator')
  assert.equal(roleOf([scope('cloud-platform')]), 'operator')
  assert.equal(roleOf([scope('compute.readonly'), scope('logging.write')]), 'viewer')
  assert.equal(roleOf([]), 'viewer')
})

test('a token is given out as long as it has five minutes to live, and ends after an hour', (t) => {
  const { tokens, live, pass } = makeTokens(t)
  const account = { email: 'a@b', scopes: [scope('compute')] }
  const first = tokens.access(account)
  assert.equal(first.expiresInSec, 3600)
  assert.equal(live.get(first.token), 'operator a@b')
  pass(3_300)
  assert.deepEqual(tokens.access(account), { token: first.token, expiresInSec: 300 })
  pass(1)
  const second = tokens.access(account)
  assert.notEqual(second.token, first.token)
  assert.deepEqual([...live.keys()], [first.token, second.token])
  pass(299)
  assert.deepEqual([...live.keys()], [second.token])
  assert.equal(tokens.info(first.token), undefined)
})

test('accounts and roles have tokens of their own, and all end with the lab', (t) => {
  const { tokens, live } = makeTokens(t)
  const one = tokens.access({ email: 'a@b', scopes: [scope('compute')] })
  const less = tokens.access({ email: 'a@b', scopes: [scope('logging.write')] })
  tokens.access({ email: 'c@d', scopes: [] })
  assert.deepEqual([...live.values()], ['operator a@b', 'viewer a@b', 'viewer c@d'])
  assert.deepEqual(tokens.info(less.token), { email: 'a@b', scopes: [scope('logging.write')], expiresInSec: 3600 })
  tokens.close()
  assert.deepEqual([...live], [])
  assert.equal(tokens.info(one.token), undefined)
})
