import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatProblem } from '../../compute/problem.ts'
import { tlsProblems } from '../../edge/frontends/frontend-tls.ts'
import { issue } from '../../tls/test-certificates.ts'
import { TestApi } from '../api/test-api.ts'

const ROOT = issue({ commonName: 'Root', isAuthority: true })
const OLD = issue({ commonName: 'Old', isAuthority: true, issuer: ROOT, keyKind: 'rsa-1024' })

/** A target SSL proxy with a certificate that came by way of `intermediate`, and a rule that leads to it. */
async function makeSslProxy(api: TestApi, name: string, port: number, intermediate: typeof ROOT): Promise<void> {
  const leaf = issue({ commonName: `${name}.example`, names: [`${name}.example`], issuer: intermediate })
  const certificate = leaf.certificatePem + intermediate.certificatePem
  await api.change('POST', 'global/sslCertificates', { name, certificate, privateKey: leaf.keyPem })
  const proxy = { name, service: 'my-tcp-lb', sslCertificates: [name], sslPolicy: 'modern' }
  await api.change('POST', 'global/targetSslProxies', proxy)
  const target = `global/targetSslProxies/${name}`
  const rule = { name, target, portRange: `${port}`, IPProtocol: 'TCP', loadBalancingScheme: 'EXTERNAL' }
  await api.change('POST', 'global/forwardingRules', rule)
}

test('a proxy whose certificate edges would refuse is left out and named; the others are served', async () => {
  const api = new TestApi()
  await api.makeGuide()
  await api.change('POST', 'global/sslPolicies', { name: 'modern', profile: 'MODERN', minTlsVersion: 'TLS_1_2' })
  await makeSslProxy(api, 'new', 443, ROOT)
  await makeSslProxy(api, 'old', 444, OLD)
  const { snapshot, leftOut } = api.publication()
  assert.deepEqual(snapshot.frontends.map(({ name }) => name).sort(), ['my-tcp-lb-ipv4-forwarding-rule', 'new'])
  assert.match(
    formatProblem(leftOut[0]),
    /^targetSslProxies\/old: Certificate "old": .* too short for the SSL policy; issue it anew$/,
  )
  assert.deepEqual(tlsProblems(snapshot), [])

  await api.change('PATCH', 'global/sslPolicies/modern', {
    profile: 'COMPATIBLE',
    minTlsVersion: 'TLS_1_0',
    fingerprint: (await api.get('global/sslPolicies/modern')).fingerprint,
  })
  const after = api.publication()
  assert.equal(after.snapshot.frontends.length, 3)
  assert.deepEqual(after.leftOut, [])
})

test('a rule that comes, leads elsewhere and goes is compiled each time, with the services before and after', async () => {
  const api = new TestApi()
  await api.makeGuide()
  await api.change('POST', 'global/backendServices', { name: 'other' })
  await api.change('POST', 'global/targetTcpProxies', { name: 'to-other', service: 'other' })
  const frontends = (): string[] =>
    api.publication().snapshot.frontends.map(({ port, service }) => `${port} ${service}`)
  assert.deepEqual(frontends(), ['110 my-tcp-lb'])
  const rule = { name: 'a-rule', target: 'my-tcp-lb-target-proxy', portRange: '25', loadBalancingScheme: 'EXTERNAL' }
  await api.change('POST', 'global/forwardingRules', rule)
  assert.deepEqual(frontends(), ['25 my-tcp-lb', '110 my-tcp-lb'])
  await api.change('POST', 'global/forwardingRules/a-rule/setTarget', { target: 'global/targetTcpProxies/to-other' })
  assert.deepEqual(frontends(), ['25 other', '110 my-tcp-lb'])
  await api.change('DELETE', 'global/forwardingRules/a-rule')
  assert.deepEqual(frontends(), ['110 my-tcp-lb'])
})
