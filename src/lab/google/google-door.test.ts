import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import type { Host } from '../host.ts'
import { Lab } from '../lab.ts'
import { AccessTokens } from './access-tokens.ts'
import { makeGoogleIdentity } from './authority.ts'
import { Buckets } from './buckets.ts'
import { GoogleDoor } from './google-door.ts'
import { GOOGLE_IPV4, GOOGLE_IPV6, TUNNEL_NAME } from './google-names.ts'
import { IdentityTokens } from './identity-tokens.ts'
import { Uploads } from './uploads.ts'

type Answer = { readonly status: number; readonly contentType: string; readonly body: string }

suite('the door of Google', () => {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-google-'))
  const lab = new Lab()
  const uploads = new Uploads(join(directory, 'uploads'))
  const buckets = new Buckets([join(directory, 'buckets')], uploads)
  const tokens = new AccessTokens({ create: () => 'tp_x', revoke: () => {} }, () => 0)
  const identities = new IdentityTokens(directory, Date.now)
  const socketPath = join(directory, 'controller.sock')
  const controller = createServer((request, response) => {
    request.setEncoding('utf8')
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      const { method, url, headers } = request
      response.writeHead(201, { 'Content-Type': 'application/json' })
      response.end(JSON.stringify([method, url, headers.host, headers.authorization, body]))
    })
  })
  let client: Host
  let door: GoogleDoor
  let authority: string

  before(async () => {
    const google = await lab.addHost('google')
    client = await lab.addHost('client')
    await lab.link(
      { host: google, addresses: [`${GOOGLE_IPV4}/32`, `${GOOGLE_IPV6}/128`], routes: ['192.0.2.1', '2001:db8::1'] },
      { host: client, addresses: ['192.0.2.1/32', '2001:db8::1/128'], routes: [GOOGLE_IPV4, GOOGLE_IPV6] },
    )
    const identity = await makeGoogleIdentity(join(directory, 'authority'))
    authority = identity.authority
    controller.listen(socketPath)
    await once(controller, 'listening')
    mkdirSync(join(directory, 'buckets/startup-script-proxy'), { recursive: true })
    writeFileSync(join(directory, 'buckets/startup-script-proxy/gommproxy-startup.bash'), '#!/bin/bash\n')
    const namespacePath = `/run/netns/${google.namespace}`
    door = await GoogleDoor.open({
      namespacePath,
      identity,
      controllerSocket: socketPath,
      buckets,
      uploads,
      tokens,
      identities,
    })
  })
  after(async () => {
    await door.close()
    controller.closeAllConnections()
    controller.close()
    await lab.close()
    rmSync(directory, { recursive: true })
  })

  async function ask(
    host: string,
    path: string,
    { to = `${GOOGLE_IPV4}:443`, method = 'GET', body = '', asked = host } = {},
  ): Promise<Answer> {
    const socket = await client.connect({ to })
    const secured = connectTls({ socket, servername: host, ca: authority })
    const headers = { Host: asked, Authorization: 'Bearer tp_x' }
    const request = httpsRequest({ createConnection: () => secured, method, path, headers })
    request.end(body)
    const [response] = await once(request, 'response')
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) text += chunk
    return { status: response.statusCode, contentType: response.headers['content-type'], body: text }
  }

  test('a request for the API reaches the controller as it is, by both versions of IP', async () => {
    const path = '/compute/v1/projects/p/global/addresses?x=y'
    for (const to of [`${GOOGLE_IPV4}:443`, `[${GOOGLE_IPV6}]:443`]) {
      const { status, body } = await ask('compute.googleapis.com', path, { to, method: 'POST', body: '{"name":"a"}' })
      assert.equal(status, 201)
      assert.deepEqual(JSON.parse(body), ['POST', path, 'compute.googleapis.com', 'Bearer tp_x', '{"name":"a"}'])
    }
  })

  test('a name that is none of Google’s is told so, as far as a name can be long', async () => {
    const { status, body } = await ask('compute.googleapis.com', '/', { asked: 'x'.repeat(5_000) })
    assert.deepEqual([status, JSON.parse(body).error.message], [404, `The lab has nothing for "${'x'.repeat(253)}…"`])
  })

  test('objects are read by both APIs, and what is not there is told in the form of each', async () => {
    const [bucket, object] = ['startup-script-proxy', 'gommproxy-startup.bash']
    assert.equal((await ask('storage.googleapis.com', `/${bucket}/${object}`)).body, '#!/bin/bash\n')
    const json = `/storage/v1/b/${bucket}/o`
    assert.equal((await ask('www.googleapis.com', `${json}/${object}?alt=media`)).body, '#!/bin/bash\n')
    const known = JSON.parse((await ask('storage.googleapis.com', `${json}/${object}`)).body)
    assert.deepEqual([known.name, known.size, known.bucket], [object, '12', bucket])
    const listed = JSON.parse((await ask('storage.googleapis.com', json)).body)
    assert.deepEqual(
      listed.items.map(({ name }: { name: string }) => name),
      [object],
    )
    const noKey = await ask('storage.googleapis.com', `/${bucket}/x`)
    assert.deepEqual([noKey.status, noKey.contentType], [404, 'application/xml; charset=UTF-8'])
    assert.match(noKey.body, /<Code>NoSuchKey<\/Code>/)
    assert.match((await ask('storage.googleapis.com', '/no-such-bucket/x')).body, /<Code>NoSuchBucket<\/Code>/)
    assert.equal((await ask('storage.googleapis.com', `${json}/x`)).status, 404)
    assert.equal((await ask('storage.googleapis.com', `/${bucket}/x`, { method: 'PUT', body: 'x' })).status, 401)
  })

  test('an API that the lab has not is refused by its name', async () => {
    const { status, body } = await ask('iam.googleapis.com', '/v1/projects/p/serviceAccounts')
    assert.deepEqual([status, JSON.parse(body).error.message], [404, 'The lab has nothing for "iam.googleapis.com"'])
  })

  test('what a token is worth is told, and where to get one', async () => {
    const { token } = tokens.access({ email: 'a@b', scopes: ['s'] })
    const info = await ask('oauth2.googleapis.com', `/tokeninfo?access_token=${token}`)
    assert.deepEqual([info.status, JSON.parse(info.body).email], [200, 'a@b'])
    const posted = await ask('oauth2.googleapis.com', '/tokeninfo', { method: 'POST' })
    assert.equal(JSON.parse(posted.body).email, 'a@b', 'by the header Authorization')
    const named = await ask('oauth2.googleapis.com', '/tokeninfo', { method: 'POST', body: 'access_token=x' })
    assert.equal(named.status, 400, 'the token that is named counts')
    assert.equal((await ask('www.googleapis.com', '/oauth2/v3/tokeninfo?access_token=x')).status, 400)
    const grant = await ask('oauth2.googleapis.com', '/token', { method: 'POST', body: 'grant_type=refresh_token' })
    assert.match(JSON.parse(grant.body).error_description, /ask the metadata server/)
  })

  test('an identity token is told in texts, with what its signature is checked by', async () => {
    const token = await identities.create({ email: 'a@b', audience: 'x', computeEngine: { instance_name: 'vm' } })
    const { status, body } = await ask('oauth2.googleapis.com', `/tokeninfo?id_token=${token}`)
    const { aud, email_verified: isVerified, exp, google } = JSON.parse(body)
    assert.deepEqual([status, aud, isVerified, typeof exp], [200, 'x', 'true', 'string'])
    assert.deepEqual(google, { compute_engine: { instance_name: 'vm' } })
    const certificates = await ask('www.googleapis.com', '/oauth2/v1/certs')
    assert.deepEqual(JSON.parse(certificates.body), await identities.certificates())
    const keys = await ask('www.googleapis.com', '/oauth2/v3/certs')
    assert.deepEqual(JSON.parse(keys.body), await identities.keySet())
  })

  test('a tunnel by Identity-Aware Proxy is refused with what to do instead', async () => {
    const socket = await client.connect({ to: `${GOOGLE_IPV4}:443` })
    const secured = connectTls({ socket, servername: TUNNEL_NAME, ca: authority })
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']
    secured.write(`GET /v4/connect HTTP/1.1\r\nHost: ${TUNNEL_NAME}\r\n${upgrade.join('\r\n')}\r\n\r\n`)
    const chunks: Buffer[] = []
    for await (const chunk of secured) chunks.push(chunk)
    const [head, frame] = Buffer.concat(chunks).toString('latin1').split('\r\n\r\n')
    // The example of RFC 6455 §1.3.
    assert.match(head, /^HTTP\/1\.1 101 .*Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/s)
    assert.equal(
      frame,
      '\x88\x52\x0f\xc1The lab has no tunnels: the instance can be reached without --tunnel-through-iap',
    )
  })

  test('without a controller the door says so', async () => {
    const idle = new Promise<void>((resolve) => controller.close(() => resolve()))
    controller.closeAllConnections()
    await idle
    const { status, body } = await ask('compute.googleapis.com', '/compute/v1/projects/p')
    assert.deepEqual([status, JSON.parse(body).error.code], [503, 503])
  })
})
