import assert from 'node:assert/strict'
import { createPublicKey, createVerify } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { IdentityTokens } from './identity-tokens.ts'

test('a token tells who an instance is, and is checked by certificates and keys; another one tells nothing', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-identity-'))
  t.after(() => rmSync(directory, { recursive: true }))
  let nowMs = 1_800_000_000_000
  const identities = new IdentityTokens(directory, () => nowMs)
  const audience = 'https://app.example'
  const token = await identities.create({ email: 'a@b', audience, computeEngine: { instance_name: 'vm' } })
  assert.deepEqual(readdirSync(directory), [], 'the key is in memory only')

  const [head, payload, signature] = token.split('.')
  const { alg, kid } = JSON.parse(Buffer.from(head, 'base64url').toString())
  const { [kid]: certificate } = await identities.certificates()
  const isSigned = (key: Parameters<typeof createPublicKey>[0]) =>
    createVerify('sha256')
      .update(`${head}.${payload}`)
      .verify(createPublicKey(key), Buffer.from(signature, 'base64url'))
  const { keys } = (await identities.keySet()) as { readonly keys: readonly { readonly kid: string }[] }
  assert.deepEqual([alg, isSigned(certificate), keys[0].kid], ['RS256', true, kid])
  assert.ok(isSigned({ key: keys[0] as never, format: 'jwk' }))

  const claims = await identities.claimsOf(token)
  assert.deepEqual([claims?.aud, claims?.email, claims?.iss], [audience, 'a@b', 'https://accounts.google.com'])
  assert.deepEqual(claims?.google, { compute_engine: { instance_name: 'vm' } })
  assert.equal(await identities.claimsOf(`${head}.${payload.replace(/^./, 'x')}.${signature}`), undefined)
  assert.equal(await identities.claimsOf('no token'), undefined)
  nowMs += 3_600_000
  assert.equal(await identities.claimsOf(token), undefined, 'its time is over')
})
