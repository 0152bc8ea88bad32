import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formats } from './formats.ts'

/** By format: texts that have it, each with the form that is kept, and texts that do not. */
const cases: Record<string, { readonly kept: Record<string, string>; readonly refused: readonly string[] }> = {
  ip: {
    kept: { '203.0.113.10': '203.0.113.10', '2001:DB8:0::1': '2001:db8::1' },
    refused: ['', '203.0.113', '203.0.113.010', '203.0.113.10/32', '[::1]', 'fe80::1%eth0', 'a'],
  },
  'ip-or-range': { kept: { '::1': '::1', '2600::/64': '2600::/64' }, refused: ['x', '::/129'] },
  'ip-or-address-reference': {
    kept: {
      '203.0.113.10': '203.0.113.10',
      'lb-static-ipv4': 'lb-static-ipv4',
      'global/addresses/a1': 'global/addresses/a1',
      'http://127.0.0.1:18080/compute/v1/projects/p/global/addresses/a1':
        'http://127.0.0.1:18080/compute/v1/projects/p/global/addresses/a1',
    },
    refused: ['203.0.113.256', 'global/backendServices/a1', ''],
  },
  cidr: {
    kept: {
      '35.191.0.0/16': '35.191.0.0/16',
      '10.1.2.3': '10.1.2.3/32',
      '::1': '::1/128',
      '2001:DB8::/32': '2001:db8::/32',
    },
    refused: ['10.0.0.0/33', '10.0.0.0/', 'all', '10.1.2.3/8', '2001:db8::1/127'],
  },
  port: { kept: { '1': '1', '65535': '65535' }, refused: ['0', '65536', '0110', '110-110', '-1', ' 110', '1e3', ''] },
  'one-port-range': {
    kept: { '110': '110-110', '110-110': '110-110' },
    refused: ['110-111', '0', '110-', '1-1-1', ''],
  },
  'port-range': { kept: { '110': '110', '0-65535': '0-65535' }, refused: ['2-1', '1-65536', '-', '1-2-3', 'all'] },
  'ip-protocol': { kept: { tcp: 'tcp', TCP: 'tcp', all: 'all', '255': '255' }, refused: ['256', 'quic', '', '06'] },
  int64: {
    kept: { '0': '0', '007': '7', '315576000000': '315576000000' },
    refused: ['', '-1', '1.5', '1e3', '9'.repeat(16)],
  },
  ascii: { kept: { '': '', 'ping\r\n\0': 'ping\r\n\0' }, refused: ['é', '\ud800'] },
  'certificate-pem': {
    kept: {
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n':
        '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    },
    refused: [
      'AAAA',
      '-----BEGIN CERTIFICATE-----\nAAAA\n',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
    ],
  },
  'private-key-pem': {
    kept: {
      '-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----':
        '-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----',
    },
    refused: [
      '',
      '-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----',
      '-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----',
      '-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----',
    ],
  },
}

for (const [name, { kept, refused }] of Object.entries(cases)) {
  test(`texts of the format ${name} are kept in one form, which stays as it is; others are refused`, () => {
    for (const [text, form] of Object.entries(kept)) {
      assert.equal(formats[name].read(text), form, text)
      assert.equal(formats[name].read(form), form, form)
    }
    for (const text of refused) assert.equal(formats[name].read(text), undefined, JSON.stringify(text))
  })
}

test('every format has its cases', () => {
  assert.deepEqual(Object.keys(cases).sort(), Object.keys(formats).sort())
})
