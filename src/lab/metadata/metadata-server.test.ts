import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { eventually } from '../../../test/rig/eventually.ts'
import { Lab } from '../lab.ts'
import { GuestAttributes } from './guest-attributes.ts'
import { MetadataServer } from './metadata-server.ts'
import { startMetadataServer } from './start-metadata-server.ts'
import { testResources } from './test-resources.ts'

const V1 = '/computeMetadata/v1'

type Answer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: string }

/** A server on loopback; `set` changes its resources and tells it. */
async function startServer(t: TestContext, first = testResources()) {
  let resources = first
  let count = 0
  const server = new MetadataServer({
    resources: () => {
      count++
      return resources
    },
    subnets: [],
    guestAttributes: new GuestAttributes(),
    tokens: { access: ({ email, scopes }) => ({ token: `token of ${email} for ${scopes}`, expiresInSec: 3599 }) },
    identities: {
      create: async ({ email, audience, computeEngine }) => `${email} to ${audience}, ${JSON.stringify(computeEngine)}`,
    },
  })
  t.after(() => server.close())
  server.http.listen(0, '127.0.0.1')
  await once(server.http, 'listening')
  const { port } = server.http.address() as AddressInfo
  const ask = (path: string, { method = 'GET', body = '' } = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const headers = { 'Metadata-Flavor': 'Google', Host: 'metadata.google.internal' }
      const request = httpRequest({ host: '127.0.0.1', port, path, method, headers }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk) => {
          text += chunk
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }))
      })
      request.on('error', reject).end(body)
    })
  const set = (changed: typeof resources) => {
    resources = changed
    server.changed()
  }
  /** How often a change has anything looked at: once for each path that requests wait for. */
  const looksAtChange = () => {
    count = 0
    server.changed()
    return count
  }
  return { ask, set, port, http: server.http, looksAtChange }
}

test('every answer says whose it is', async (t) => {
  const { ask, port } = await startServer(t)
  const { status, headers, body } = await ask(`${V1}/instance/id`)
  assert.deepEqual([status, body], [200, '8849188986350618123'])
  assert.equal(headers['metadata-flavor'], 'Google')
  assert.equal(headers['content-type'], 'application/text')
  assert.match(headers.etag ?? '', /^[0-9a-f]{16}$/)
  assert.equal((await ask(`${V1}/instance/x`)).headers['metadata-flavor'], 'Google')
  const plain = await fetch(`http://127.0.0.1:${port}${V1}/instance/id`)
  assert.equal(plain.status, 403)
})

test('a directory without its slash is somewhere else, and a value with one is nowhere', async (t) => {
  const { ask } = await startServer(t)
  const { status, headers } = await ask(`${V1}/instance/disks?alt=json`)
  assert.deepEqual([status, headers.location], [301, `${V1}/instance/disks/?alt=json`])
  assert.equal((await ask(`/${V1}//instance/disks`)).headers.location, `${V1}/instance/disks/`)
  assert.equal((await ask(`${V1}/instance/disks?recursive=true`)).status, 200)
  assert.equal((await ask(`${V1}/instance/id/`)).status, 404)
  assert.match((await ask(`${V1}/instance/<b>`)).body, /URL \/computeMetadata\/v1\/instance\/&#60;b&#62; was not found/)
  assert.equal((await ask('/')).body, 'computeMetadata/\n')
})

test('a token is made for the scopes of the account, or for those of them that are asked for', async (t) => {
  const { ask } = await startServer(t)
  const at = `${V1}/instance/service-accounts/default`
  const { body, headers } = await ask(`${at}/token`)
  assert.equal(headers['content-type'], 'application/json')
  assert.match(JSON.parse(body).access_token, /^token of 123456789012-compute@.* for https:.*read_only,https:/)
  assert.deepEqual([JSON.parse(body).expires_in, JSON.parse(body).token_type], [3599, 'Bearer'])
  const logging = 'https://www.googleapis.com/auth/logging.write'
  const everything = 'https://www.googleapis.com/auth/cloud-platform'
  const narrow = await ask(`${at}/token?scopes=${logging},${everything}`)
  assert.match(JSON.parse(narrow.body).access_token, / for https:[^,]*logging.write$/)
  const identity = await ask(`${at}/identity?audience=https://app.example`)
  assert.match(identity.body, /^.*@.* to https:\/\/app\.example, undefined$/)
  const full = await ask(`${at}/identity?audience=x&format=full`)
  assert.match(full.body, /to x, {"instance_creation_timestamp":\d+,"instance_id":"\d+","instance_name":".+"/)
  assert.equal((await ask(`${at}/identity`)).status, 400)
})

test('who waits is answered at a change of what it waits for, and at no other', async (t) => {
  const { ask, set } = await startServer(t)
  const { headers } = await ask(`${V1}/instance/attributes/?recursive=true`)
  let isAnswered = false
  const waiting = ask(`${V1}/instance/attributes/?recursive=true&wait_for_change=true&last_etag=${headers.etag}`)
  const answered = waiting.then((answer) => {
    isAnswered = true
    return answer
  })
  // Whoever has asked later has its answer: the change of the project was looked at before.
  await ask(`${V1}/instance/id`)
  set(testResources({}, { key: 'of the project' }))
  assert.equal((await ask(`${V1}/project/attributes/key`)).body, 'of the project')
  assert.equal(isAnswered, false)
  set(testResources({ key: 'value' }))
  const answer = await answered
  assert.equal(answer.body, '{"key":"value"}')
  assert.notEqual(answer.headers.etag, headers.etag)
})

test('who knows something else is answered at once, and who has waited long enough', async (t) => {
  const { ask } = await startServer(t)
  assert.equal((await ask(`${V1}/instance/id?wait_for_change=true&last_etag=NONE`)).status, 200)
  assert.equal((await ask(`${V1}/instance/id?wait_for_change=true&timeout_sec=0`)).status, 200)
  assert.equal((await ask(`${V1}/instance/attributes/x?wait_for_change=true`)).status, 404)
})

test('who waits for what is taken away learns that', async (t) => {
  const { ask, set } = await startServer(t, testResources({ key: 'value' }))
  const waiting = ask(`${V1}/instance/attributes/key?wait_for_change=true`)
  await ask(`${V1}/instance/id`)
  set(testResources())
  assert.equal((await waiting).status, 404)
})

test('nobody waits for a client that has left', async (t) => {
  const { http, port, looksAtChange } = await startServer(t)
  const client = connect(port, '127.0.0.1')
  const [[socket]] = await Promise.all([once(http, 'connection'), once(client, 'connect')])
  const other = connect(port, '127.0.0.1')
  await once(http, 'connection')
  const asked = `GET ${V1}/?wait_for_change=true&recursive=true HTTP/1.1\r\nHost: metadata\r\nMetadata-Flavor: Google\r\n\r\n`
  client.write(asked)
  await once(http, 'request')
  assert.equal(looksAtChange(), 1)
  // However many wait for the same, it is looked at once.
  other.write(asked)
  await once(http, 'request')
  assert.equal(looksAtChange(), 1)
  client.destroy()
  await once(socket, 'close')
  assert.equal(looksAtChange(), 1)
  other.destroy()
  await eventually('nobody waits', () => looksAtChange() === 0)
})

test('guest attributes are written where metadata allow it, within their limits', async (t) => {
  const { ask, set } = await startServer(t)
  const key = `${V1}/instance/guest-attributes/hostkeys/ssh-ed25519`
  const refused = await ask(key, { method: 'PUT', body: 'AAAA' })
  assert.equal(refused.status, 403)
  assert.match(refused.body, /set the metadata enable-guest-attributes to TRUE/)
  set(testResources({}, { 'enable-guest-attributes': 'TRUE' }))
  const { etag } = (await ask(`${V1}/?recursive=true`)).headers
  const waiting = ask(`${V1}/?recursive=true&wait_for_change=true&last_etag=${etag}`)
  assert.equal((await ask(key, { method: 'PUT', body: 'AAAA' })).status, 200)
  assert.equal((await ask(key)).body, 'AAAA')
  assert.match((await waiting).body, /"guestAttributes":\{"hostkeys":\{"ssh-ed25519":"AAAA"\}\}/)
  const put = (path: string, body: string) => ask(`${V1}/instance/guest-attributes/${path}`, { method: 'PUT', body })
  assert.equal((await put('only-a-namespace', 'x')).status, 400)
  assert.equal((await put('a/b', 'x'.repeat(256 * 1024 + 1))).status, 413)
  assert.equal((await put('a/b', 'x'.repeat(256 * 1024))).status, 200)
  assert.equal((await put('a/c', 'x'.repeat(256 * 1024))).status, 413)
  assert.equal((await put('a/b', 'y')).status, 200)
  assert.equal((await ask(key, { method: 'DELETE' })).status, 200)
  assert.equal((await ask(key, { method: 'DELETE' })).status, 404)
  assert.equal((await ask(`${V1}/instance/name`, { method: 'PUT', body: 'x' })).status, 405)
})

test('each instance has a server of its own at the same address, in its own network', async () => {
  const lab = new Lab()
  try {
    const names = await Promise.all(
      ['one', 'other'].map(async (name) => {
        const host = await lab.addHost(name)
        const resources = testResources({ name })
        const machine = {
          namespacePath: `/run/netns/${host.namespace}`,
          metadata: () => resources,
          onMetadata: () => () => {},
        }
        const tokens = { access: () => ({ token: '', expiresInSec: 0 }) }
        const identities = { create: async () => '' }
        const stop = await startMetadataServer(machine, {
          subnets: [],
          tokens,
          identities,
          guestAttributes: new GuestAttributes(),
        })
        try {
          const socket = await host.connect({ to: '169.254.169.254:80' })
          socket.end(`GET ${V1}/instance/attributes/name HTTP/1.0\r\nMetadata-Flavor: Google\r\n\r\n`)
          const [answer] = await once(socket, 'data')
          return `${answer}`.split('\r\n').at(-1)
        } finally {
          await stop()
        }
      }),
    )
    assert.deepEqual(names, ['one', 'other'])
  } finally {
    await lab.close()
  }
})
