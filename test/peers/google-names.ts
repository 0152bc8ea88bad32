import { type ExecFileOptions, execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { makeCertificate } from '../../src/controller/api/test-api.ts'
import { testDirectory } from '../rig/directory.ts'
import { withController } from './gcloud.ts'

export const PROJECT = 'my-project'
/** No other test listens here: each file has a process of its own. */
const ADDRESS = `127.77.${(process.pid >> 8) & 0xff}.${process.pid & 0xff}`

/** A machine on which Google's names lead to a controller. */
export type GoogleMachine = {
  /** For the program's files. */
  readonly directory: string
  /** The file of the certificate that the controller has for Google's names. */
  readonly roots: string
  /** Runs a program there, whatever becomes of it. */
  run(
    program: string,
    args: readonly string[],
    env?: Readonly<Record<string, string>>,
  ): Promise<{ readonly status: number; readonly stdout: string; readonly stderr: string }>
}

/**
 * For clients that cannot be told another address: a machine where Google's names lead to a controller with a
 * certificate for them, and where a metadata server gives tokens away, as on Google's own machines.
 */
export async function withGoogleNames(t: TestContext, use: (machine: GoogleMachine) => Promise<void>): Promise<void> {
  const directory = testDirectory(t)
  const { certificate, privateKey } = makeCertificate('P-256', '*.googleapis.com')
  const [roots, hosts] = [join(directory, 'roots.pem'), join(directory, 'hosts')]
  writeFileSync(roots, certificate)
  const names = ['compute.googleapis.com', 'www.googleapis.com', 'oauth2.googleapis.com']
  writeFileSync(hosts, `${readFileSync('/etc/hosts', 'utf8')}\n${ADDRESS} ${names.join(' ')}\n`)
  const metadata = createServer(({ url = '' }, response) => {
    const token = { access_token: 'ya29.test', expires_in: 3600, token_type: 'Bearer' }
    response.setHeader('Metadata-Flavor', 'Google').setHeader('Content-Type', 'application/json')
    response.end(
      JSON.stringify(url.endsWith('/token') ? token : { email: 'test@p.iam.gserviceaccount.com', scopes: [] }),
    )
  })
  await new Promise<void>((resolve) => metadata.listen(0, '127.0.0.1', resolve))
  t.after(() => metadata.close())
  const metadataHost = `127.0.0.1:${(metadata.address() as AddressInfo).port}`
  const trust = { REQUESTS_CA_BUNDLE: roots, SSL_CERT_FILE: roots }
  const environment = { ...process.env, ...trust, GCE_METADATA_ROOT: metadataHost, GCE_METADATA_IP: metadataHost }
  // Only the program itself sees the other file of names.
  const script = `mount --bind ${hosts} /etc/hosts && exec "$@"`
  await withController(
    async () => {
      const run: GoogleMachine['run'] = (program, args, env = {}) => {
        const options: ExecFileOptions = {
          cwd: directory,
          env: { ...environment, ...env },
          timeout: 600_000,
          maxBuffer: 64 * 1024 * 1024,
        }
        return new Promise((resolve) => {
          const argv = ['--mount', 'sh', '-c', script, 'sh', program, ...args]
          execFile('unshare', argv, options, (error, stdout, stderr) => {
            resolve({ status: error === null ? 0 : Number(error.code ?? 1), stdout: `${stdout}`, stderr: `${stderr}` })
          })
        })
      }
      await use({ directory, roots, run })
    },
    { address: `${ADDRESS}:443`, tls: { cert: certificate, key: privateKey }, project: PROJECT },
  )
}
