import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { runProgram } from '../../src/linux/run.ts'

/** Makes a certificate for an address, signed by itself. @returns the files of the certificate and its key */
export async function makeCertificate(folder: string, address: string): Promise<[cert: string, key: string]> {
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=test']
  const names = ['-addext', `subjectAltName=IP:${address}`]
  await runProgram('openssl', ['req', '-x509', ...kind, ...names, '-keyout', key, '-out', cert])
  chmodSync(key, 0o600)
  return [cert, key]
}
