import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { reuseParts } from '../../snapshot/reuse.ts'
import type { FrontendTls, Snapshot } from '../../snapshot/snapshot.ts'
import { testFrontend, testService, testSnapshot } from '../../snapshot/test-snapshot.ts'
import { DEFAULT_POLICY } from '../../tls/policy.ts'
import { issue } from '../../tls/test-certificates.ts'
import { FrontendTlsStore } from './frontend-tls.ts'

const ISSUED = issue({ commonName: 'a.example', names: ['a.example'] })

function tlsOf(privateKey: string): FrontendTls {
  const certificates = [{ name: 'my-certificate', chain: ISSUED.certificatePem, privateKey }]
  return { certificates, policy: { ...DEFAULT_POLICY, name: '' }, protocols: [] }
}

function start(t: TestContext): FrontendTlsStore {
  const store = new FrontendTlsStore(10_000, () => {})
  t.after(() => store.stop())
  return store
}

function copyOf(snapshot: Snapshot): Snapshot {
  return structuredClone(snapshot)
}

test('what is the same in the next snapshot is not read again, and what is new is', (t) => {
  const store = start(t)
  const before = testSnapshot([testFrontend({ tls: tlsOf(ISSUED.keyPem) })], [testService()])
  store.prepare(before)
  const read = store.serverOptions(before.frontends[0])?.certificates
  assert.equal(read?.[0].name, 'my-certificate')
  const after = reuseParts(before, copyOf(before))
  store.prepare(after)
  assert.equal(store.serverOptions(after.frontends[0])?.certificates, read)
  const other = reuseParts(before, testSnapshot([testFrontend({ tls: tlsOf(ISSUED.keyPem), port: 443 })], []))
  store.prepare(other)
  assert.notEqual(store.serverOptions(other.frontends[0])?.certificates, read)
})

test('a key of another certificate is refused beside what was taken before, and each time again', (t) => {
  const store = start(t)
  const good = testSnapshot([testFrontend({ tls: tlsOf(ISSUED.keyPem) })], [])
  store.prepare(good)
  const wrong = testSnapshot([...good.frontends, testFrontend({ port: 443, tls: tlsOf(issue().keyPem) })], [])
  for (let time = 0; time < 2; time++) assert.throws(() => store.prepare(wrong), /my-certificate/)
  assert.ok(store.serverOptions(good.frontends[0]))
})

test('roots that are none are refused', (t) => {
  const tls = { serverName: 'a.example', names: undefined, roots: 'none', headerPlace: 'before-tls' } as const
  const wrong = testSnapshot([], [testService({ tls })])
  const store = start(t)
  for (let time = 0; time < 2; time++) assert.throws(() => store.prepare(wrong), /my-tcp-lb.*no certificate/)
})
