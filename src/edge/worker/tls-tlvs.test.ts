import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readAlpn, readAuthority } from '../../proxy-protocol/text-tlvs.ts'
import { readClientTls } from '../../proxy-protocol/tls-tlv.ts'
import type { TlsInfo } from '../../tls/session.ts'
import { tlsTlvs } from './tls-tlvs.ts'

const INFO: TlsInfo = {
  version: 'TLSv1.3',
  cipher: 'TLS_AES_128_GCM_SHA256',
  serverName: 'a.example',
  protocol: 'h2',
  isResumed: false,
  commonName: undefined,
}

test('version, cipher, name and protocol are told; without a certificate nothing counts as verified', () => {
  const tlvs = tlsTlvs(INFO)
  assert.deepEqual([readAlpn(tlvs), readAuthority(tlvs)], ['h2', 'a.example'])
  const client = readClientTls(tlvs)
  assert.deepEqual([client?.isTls, client?.version, client?.cipher], [true, 'TLSv1.3', 'TLS_AES_128_GCM_SHA256'])
  assert.deepEqual(
    [client?.hasCertificateInConnection, client?.verifyResult, client?.commonName],
    [false, 1, undefined],
  )
})

test('what is not known is left out', () => {
  const tlvs = tlsTlvs({ ...INFO, serverName: '', protocol: '' })
  assert.equal(tlvs.length, 1)
})

test('the common name of a certificate is told', () => {
  const client = readClientTls(tlsTlvs({ ...INFO, commonName: 'Client 1' }))
  assert.deepEqual(
    [client?.commonName, client?.hasCertificateInConnection, client?.verifyResult],
    ['Client 1', true, 0],
  )
})
