import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Mapping } from '../../compute/json-value.ts'
import { formatProblem } from '../../compute/problem.ts'
import { type Issued, issue } from '../../tls/test-certificates.ts'
import { MemoryStore } from '../store/memory-store.ts'
import { makeCertificate, TestApi } from './test-api.ts'

const CERTIFICATES = 'global/sslCertificates'
const SERVICES = 'global/backendServices'
/** It has the form of PEM and of base64, and no certificate is inside. */
const BROKEN = '-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n'
const BROKEN_ROOT =
  /^400 invalid: Invalid value for field 'resource.tlsSettings.certificateAuthorities': 'a text of \d+ characters'. root 2 cannot be read: its PEM is damaged; copy it again$/

/** `count` certificates, each issued by the next; the leaf comes first, and the last has issued itself. */
function chainOf(count: number): readonly [Issued, ...Issued[]] {
  let chain: readonly [Issued, ...Issued[]] = [issue({ commonName: 'root', isAuthority: true })]
  while (chain.length < count) {
    const isLeaf = chain.length === count - 1
    const commonName = isLeaf ? 'lb.example.com' : `authority ${chain.length}`
    chain = [issue({ commonName, issuer: chain[0], isAuthority: !isLeaf }), ...chain]
  }
  return chain
}

function pemOf(...chain: readonly Issued[]): string {
  return chain.map(({ certificatePem }) => certificatePem).join('')
}

/** A service whose backends are verified by these roots. */
function serviceWith(certificateAuthorities: unknown): Mapping {
  return { name: 's', protocol: 'SSL', tlsSettings: { sni: 'app.example', certificateAuthorities } }
}

test('a certificate that edges take is taken: a chain in order, RSA with 4096 bits', async () => {
  const api = new TestApi()
  const [leaf, authority, root] = chainOf(3)
  await api.change('POST', CERTIFICATES, {
    name: 'chain',
    certificate: pemOf(leaf, authority, root),
    privateKey: leaf.keyPem,
  })
  await api.change('POST', CERTIFICATES, { name: 'rsa', ...makeCertificate('rsa:4096') })
})

test('a certificate that edges refuse is refused, with the field, the rule and the remedy', async (t) => {
  const [leaf, authority, root] = chainOf(3)
  const eleven = chainOf(11)
  // 2,500 names of 24 bytes.
  const names = Array.from({ length: 2_500 }, (_, index) => `${`${index}`.padStart(10, 'a')}.example.com`)
  const large = issue({ names })
  const cases: readonly (readonly [claim: string, certificate: string, privateKey: string, refusal: RegExp])[] = [
    [
      'a chain out of order',
      pemOf(leaf, root, authority),
      leaf.keyPem,
      /'resource.certificate': ''. the chain is out of order: certificate 2 did not issue certificate 1 \(its issuer is certificate 3\); begin with the leaf/,
    ],
    [
      'eleven certificates',
      pemOf(...eleven),
      eleven[0].keyPem,
      /'resource.certificate': ''. the chain has 11 certificates; give at most 10$/,
    ],
    [
      'more than 48 KiB',
      pemOf(large),
      large.keyPem,
      /'resource.certificate': ''. the chain is larger than 49152 bytes; leave out what clients do not need$/,
    ],
    [
      'what is no certificate inside',
      BROKEN,
      leaf.keyPem,
      /'resource.certificate': ''. certificate 1 of the chain cannot be read: its PEM is damaged; copy it again$/,
    ],
    [
      'the key of another',
      pemOf(leaf, authority),
      issue().keyPem,
      /'resource.privateKey': ''. the private key does not belong to the first certificate; give the pair/,
    ],
    [
      'the key of a later certificate',
      pemOf(authority, leaf),
      leaf.keyPem,
      /'resource.certificate': ''. the private key does not .*, but to certificate 2; put the server's certificate first/,
    ],
  ]
  const keyKinds: readonly (readonly [keyKind: string, refusal: RegExp])[] = [
    ['rsa:4224', /'resource.privateKey': ''. the RSA key has 4224 bits; use RSA with 2048 to 4096 bits, or ECDSA/],
    ['rsa:1024', /'resource.privateKey': ''. the RSA key has 1024 bits; use RSA with 2048 to 4096 bits, or ECDSA/],
    ['P-521', /'resource.privateKey': ''. the curve "secp521r1" is not offered; use RSA .* or ECDSA with P-256/],
  ]
  const ofKinds = keyKinds.map(([keyKind, refusal]) => {
    const { certificate, privateKey } = makeCertificate(keyKind)
    return [keyKind, certificate, privateKey, refusal] as const
  })
  for (const [claim, certificate, privateKey, refusal] of [...cases, ...ofKinds]) {
    await t.test(claim, async () => {
      const said = await new TestApi().refusal('POST', CERTIFICATES, { name: 'c', certificate, privateKey })
      assert.match(said, /^400 invalid: Invalid value for field /)
      assert.match(said, refusal)
    })
  }
})

test('authorities that edges cannot read are refused at insert, update and patch', async () => {
  const api = new TestApi()
  const root = issue({ commonName: 'root', isAuthority: true })
  const broken = `${root.certificatePem}${BROKEN}`
  assert.match(await api.refusal('POST', SERVICES, serviceWith(broken)), BROKEN_ROOT)
  await api.change('POST', SERVICES, serviceWith(root.certificatePem))
  const { fingerprint } = await api.get(`${SERVICES}/s`)
  assert.match(await api.refusal('PUT', `${SERVICES}/s`, { ...serviceWith(broken), fingerprint }), BROKEN_ROOT)
  const patch = { tlsSettings: { certificateAuthorities: broken }, fingerprint }
  assert.match(await api.refusal('PATCH', `${SERVICES}/s`, patch), BROKEN_ROOT)
  await api.change('PATCH', `${SERVICES}/s`, { timeoutSec: 60, fingerprint })
})

test('authorities that are an empty text do not turn the verification off: they are refused', async () => {
  const api = new TestApi()
  const empty =
    /^400 invalid: .*'resource.tlsSettings.certificateAuthorities': ''. it is empty; give the authorities in PEM, or leave the field out to accept any certificate$/
  assert.match(await api.refusal('POST', SERVICES, serviceWith('')), empty)
  const { certificatePem } = issue({ commonName: 'root', isAuthority: true })
  await api.change('POST', SERVICES, serviceWith(certificatePem))
  const { fingerprint } = await api.get(`${SERVICES}/s`)
  assert.match(await api.refusal('PUT', `${SERVICES}/s`, { ...serviceWith(''), fingerprint }), empty)
  const patch = { tlsSettings: { certificateAuthorities: '' }, fingerprint }
  assert.match(await api.refusal('PATCH', `${SERVICES}/s`, patch), empty)
  await api.change('PATCH', `${SERVICES}/s`, { tlsSettings: { certificateAuthorities: null }, fingerprint })
  const { tlsSettings } = await api.get(`${SERVICES}/s`)
  assert.deepEqual(tlsSettings, { sni: 'app.example', proxyHeaderPlace: 'BEFORE_TLS' })
})

test('what was stored before edges were asked stays: it is shown and deleted, left out of what edges get, and mended by a patch', async () => {
  const store = new MemoryStore()
  const lenient = { certificateProblems: () => [], refusedIn: () => [], unavailableFeatures: [] }
  const before = new TestApi({ store, edgeTls: lenient })
  const [leaf, authority, root] = chainOf(3)
  const certificate = pemOf(leaf, root, authority)
  await before.change('POST', CERTIFICATES, { name: 'c', certificate, privateKey: leaf.keyPem })
  await before.change('POST', SERVICES, serviceWith(BROKEN))
  await before.change('POST', 'global/targetSslProxies', { name: 't', service: 's', sslCertificates: ['c'] })
  await before.change('POST', 'global/forwardingRules', { name: 'r', target: 'targetSslProxies/t', portRange: '443' })
  const api = new TestApi({ store })
  const { version, snapshot, leftOut } = api.publication()
  assert.equal(version, store.revision())
  assert.deepEqual(snapshot.frontends, [])
  assert.match(
    leftOut.map(formatProblem).join('\n'),
    /^targetSslProxies\/t: Certificate "c": .*\nbackendServices\/s: .*PEM is damaged/m,
  )
  assert.equal((await api.get(`${CERTIFICATES}/c`)).certificate, certificate)
  const { fingerprint } = await api.get(`${SERVICES}/s`)
  await api.change('PATCH', `${SERVICES}/s`, {
    tlsSettings: { certificateAuthorities: root.certificatePem },
    fingerprint,
  })
  await api.change('POST', CERTIFICATES, {
    name: 'd',
    certificate: pemOf(leaf, authority),
    privateKey: leaf.keyPem,
  })
  await api.change('POST', 'global/targetSslProxies/t/setSslCertificates', { sslCertificates: ['d'] })
  await api.change('DELETE', `${CERTIFICATES}/c`)
  assert.equal(api.publication().snapshot.frontends.length, 1)
  assert.deepEqual(api.publication().leftOut, [])
})

test('the operation of a policy warns of a cipher suite that it turns on and no edge can offer', async () => {
  const api = new TestApi()
  const policies = 'global/sslPolicies'
  const missing = 'TLS_RSA_WITH_3DES_EDE_CBC_SHA'
  const message = `The OpenSSL of edges does not support ${missing}; clients are offered the other cipher suites`
  const warnings = [{ code: 'EXTERNAL_API_WARNING', message, data: [] }]
  const made = await api.change('POST', policies, { name: 'compatible' })
  assert.deepEqual(made.warnings, warnings)
  const compatible = await api.get(`${policies}/compatible`)
  assert.equal((compatible.enabledFeatures as readonly string[]).length, 18)
  assert.ok((compatible.enabledFeatures as readonly string[]).includes(missing), 'as Google computes it')
  assert.ok(!('warnings' in compatible), 'clients do not expect any in the resource')
  // What a client sends back of it is not stored.
  const patch = { profile: 'MODERN', warnings, fingerprint: compatible.fingerprint }
  assert.ok(!('warnings' in (await api.change('PATCH', `${policies}/compatible`, patch))))
  assert.ok(!('warnings' in (await api.get(`${policies}/compatible`))))
  const custom = { name: 'custom', profile: 'CUSTOM', customFeatures: [missing] }
  assert.deepEqual((await api.change('POST', policies, custom)).warnings, warnings)
})

test('alpnProtocols of a target SSL proxy can be patched, which takes nothing else away', async () => {
  const api = new TestApi()
  const [certificate] = chainOf(1)
  const resource = { name: 'c', certificate: pemOf(certificate), privateKey: certificate.keyPem }
  await api.change('POST', CERTIFICATES, resource)
  await api.change('POST', SERVICES, { name: 's', protocol: 'TCP' })
  const proxies = 'global/targetSslProxies'
  const proxy = { name: 'p', service: `${SERVICES}/s`, sslCertificates: [`${CERTIFICATES}/c`], proxyHeader: 'PROXY_V1' }
  await api.change('POST', proxies, proxy)
  await api.change('PATCH', `${proxies}/p`, { alpnProtocols: ['postgresql'] })
  const { body: patched } = await api.send('GET', `${proxies}/p`)
  assert.deepEqual([patched.alpnProtocols, patched.proxyHeader], [['postgresql'], 'PROXY_V1'])
  assert.match(await api.refusal('PATCH', `${proxies}/p`, { alpnProtocols: ['a b'] }), /^400 invalid: .*alpnProtocols/)
})
