// For tests: peers of every kind on loopback, and probes of them.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { setMaxListeners } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import type { HealthCheck, Probe } from '../../snapshot/snapshot.ts'
import { testHealthCheck } from '../../snapshot/test-snapshot.ts'
import type { LoopLag } from '../conversation/loop-lag.ts'
import { runProbe } from './probe.ts'

/** For probes that nobody calls off. */
export const NEVER = new AbortController().signal
// Many probes that are under way at a time are no leak.
setMaxListeners(0, NEVER)
/** A thread that is never late, however busy the machine is. */
export const NO_LAG: Pick<LoopLag, 'watch'> = { watch: () => ({ hasLagged: () => false, end: () => {} }) }

/** A key and a certificate that it has signed itself. */
export function makeCertificate(): { readonly key: string; readonly cert: string } {
  const options = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const pem = execFileSync('openssl', ['req', '-x509', ...options, '-subj', '/CN=test', '-keyout', '-', '-out', '-'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const at = pem.indexOf('-----BEGIN CERTIFICATE')
  return { key: pem.slice(0, at), cert: pem.slice(at) }
}

/** A check that differs from a patient TCP check in what is given. */
export function testCheck(probe: Probe, fields: Partial<HealthCheck> = {}): HealthCheck {
  return testHealthCheck({ probe, ...fields })
}

export const TCP: Probe = { kind: 'TCP', request: '', response: '' }

/** What one probe of a port of 127.0.0.1 says: `success`, or the text of its error. */
export async function probe(port: number, kind: Probe, fields: Partial<HealthCheck> = {}): Promise<string> {
  const result = await runProbe({ check: testCheck(kind, fields), address: '127.0.0.1', port }, NEVER, NO_LAG)
  return result.kind === 'success' ? 'success' : `${result.kind === 'discarded' ? 'discarded: ' : ''}${result.error}`
}

/** Opens a port of loopback for the length of a test, and ends what is connected to it then. */
export async function listen(t: TestContext, server: Server, host = '127.0.0.1'): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return address.port
}

/** A peer that does what `serve` says with every connection. */
export function startBackend(t: TestContext, serve: (socket: Socket) => void): Promise<number> {
  return listen(t, createServer({ allowHalfOpen: true }, serve))
}
