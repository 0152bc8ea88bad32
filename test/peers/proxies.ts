import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import type { Program } from '../../src/lab/program.ts'
import { runChecked } from '../../src/linux/run.ts'
import { testDirectory } from '../rig/directory.ts'
import { eventually } from '../rig/eventually.ts'
import { NGINX_STREAM } from '../rig/skip.ts'

/** Starts HAProxy with these `listen` sections and waits until it listens on `ready`, as "192.0.2.1:80". */
export async function startHaproxy(t: TestContext, host: Host, sections: string, ready: string): Promise<Program> {
  const path = join(testDirectory(t), 'haproxy.cfg')
  await writeFile(
    path,
    `global
  maxconn 200
  log stdout format raw local0
defaults
  mode tcp
  timeout connect 5s
  timeout client 10s
  timeout server 10s
  timeout check 2s
${sections}`,
  )
  const program = host.start('haproxy', ['-db', '-f', path])
  await untilListening(host, program, ready)
  return program
}

/**
 * Starts nginx with these `server` blocks inside `stream` and waits until it listens on `ready`. Returns the directory
 * to which the paths of the configuration are relative.
 */
export async function startNginx(t: TestContext, host: Host, servers: string, ready: string): Promise<string> {
  const directory = testDirectory(t)
  await writeFile(
    join(directory, 'nginx.conf'),
    `load_module ${NGINX_STREAM};
user root;
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr warn;
events { worker_connections 200; }
stream {
${servers}}
`,
  )
  const program = host.start('nginx', ['-p', directory, '-c', 'nginx.conf', '-e', 'stderr'])
  await untilListening(host, program, ready)
  return directory
}

async function untilListening(host: Host, program: Program, ready: string): Promise<void> {
  await eventually(`something listens on ${ready}`, async () => {
    if (!program.isRunning) throw new Error(program.texts().join('\n'))
    const { stdout } = await host.run('ss', ['-Hltn'])
    return stdout.split(/\s+/).includes(ready)
  })
}

/** A key with a certificate that has signed itself, in one PEM file: RSA of 2048 bits with SHA-256. */
export async function selfSignedPem(directory: string, commonName: string): Promise<string> {
  const path = join(directory, `${commonName}.pem`)
  const subject = ['-subj', `/CN=${commonName}`, '-days', '2', '-nodes', '-sha256']
  await runChecked('openssl', ['req', '-x509', '-newkey', 'rsa:2048', ...subject, '-keyout', path, '-out', path])
  return path
}
