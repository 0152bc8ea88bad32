import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeDirectory } from '../../linux/make-directory.ts'
import { runChecked } from '../../linux/run.ts'
import { CERTIFICATE_NAMES, TUNNEL_NAME } from './google-names.ts'

const DAYS = '90'
const EC_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
const CA_EXTENSIONS = [
  'basicConstraints = critical, CA:true, pathlen:0',
  'keyUsage = critical, keyCertSign',
  // Whoever trusts it, trusts it for these names and no others.
  `nameConstraints = critical, ${['googleapis.com', 'metadata.google.internal', TUNNEL_NAME].map((name) => `permitted;DNS:${name}`).join(', ')}`,
  'subjectKeyIdentifier = hash',
]
const LEAF_EXTENSIONS = [
  'basicConstraints = critical, CA:false',
  'keyUsage = critical, digitalSignature',
  'extendedKeyUsage = serverAuth',
  `subjectAltName = ${CERTIFICATE_NAMES.map((name) => `DNS:${name}`).join(', ')}`,
]

/** A certificate for Google's names, and the authority that signed it; all in PEM. */
export type GoogleIdentity = {
  readonly authority: string
  /** By which OpenSSL finds the authority in a directory of certificates: `HASH.0`. */
  readonly authorityHash: string
  readonly certificate: string
  readonly key: string
}

/**
 * Makes a certificate authority that signs one certificate, in a directory for its owner alone. The key of the authority
 * is gone when this resolves: nobody can have it sign anything else.
 *
 * @throws ProgramError when there is no openssl(1), or it fails
 */
export async function makeGoogleIdentity(directory: string): Promise<GoogleIdentity> {
  makeDirectory(directory, 0o700)
  const file = (name: string) => join(directory, name)
  const openssl = (...args: readonly string[]) => runChecked('openssl', args)
  const [caKey, ca, key, request, certificate] = ['ca.key', 'ca.pem', 'key.pem', 'request.pem', 'certificate.pem'].map(
    file,
  )
  const configuration = [
    '[req]\ndistinguished_name = name\nprompt = no\nx509_extensions = ca',
    '[name]\nO = truepeer lab\nCN = truepeer lab, Google names only',
    ['[ca]', ...CA_EXTENSIONS].join('\n'),
    ['[leaf]', ...LEAF_EXTENSIONS].join('\n'),
  ]
  writeFileSync(file('openssl.cnf'), `${configuration.join('\n')}\n`)
  const [config, days] = [
    ['-config', file('openssl.cnf')],
    ['-days', DAYS],
  ]
  await openssl('req', '-x509', ...EC_KEY, '-keyout', caKey, '-out', ca, ...days, ...config)
  await openssl(
    'req',
    '-new',
    ...EC_KEY,
    '-keyout',
    key,
    '-out',
    request,
    ...config,
    '-subj',
    `/CN=${CERTIFICATE_NAMES[0]}`,
  )
  const signed = [
    '-CA',
    ca,
    '-CAkey',
    caKey,
    '-set_serial',
    '1',
    '-extfile',
    file('openssl.cnf'),
    '-extensions',
    'leaf',
  ]
  await openssl('x509', '-req', '-in', request, '-out', certificate, ...days, ...signed)
  rmSync(caKey)
  const authorityHash = (await openssl('x509', '-in', ca, '-noout', '-subject_hash')).trim()
  const read = (path: string) => readFileSync(path, 'utf8')
  return { authority: read(ca), authorityHash, certificate: read(certificate), key: read(key) }
}
