import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import type { Program } from '../../src/lab/program.ts'

export const GUIDE_PORT = 110
/** Where clients of the guide connect to. */
export const FRONTEND = `${IPV4.edge}:${GUIDE_PORT}`
/** The guide's only backend, as the status of an edge calls it. */
export const BACKEND_KEY = 'my-tcp-lb/us-central1-b/my-instance-group/my-backend'

/** The guide's load balancer as the file of resources in the documentation. */
export function guideText(): string {
  return readFileSync(fileURLToPath(new URL('../../../docs/examples/guide.yaml', import.meta.url)), 'utf8')
}

/** The same with a health check every second, for tests that cannot wait for every five. */
export function quickGuideText(): string {
  return changed(changed(guideText(), /checkIntervalSec: 5/, 'checkIntervalSec: 1'), /timeoutSec: 5\b/, 'timeoutSec: 1')
}

/** The same without a bound on utilization, so that the edge does not ask whether there is an agent. */
export function probedGuideText(): string {
  return changed(guideText(), /^ *maxUtilization: 0\.8\n/m, '')
}

function changed(text: string, pattern: RegExp, replacement: string): string {
  assert.match(text, pattern)
  return text.replace(pattern, replacement)
}

/**
 * Starts the guide's `iperf -s`.
 *
 * With -C, which makes it what it was for the guide: one that takes every byte for payload. Newer ones read the first
 * bytes as a header of their own and drop a connection that begins with PROXY (`permit key fail`, iperf 2.1.8).
 */
export async function startIperf(backend: Host): Promise<Program> {
  const server = backend.start('stdbuf', ['-oL', 'iperf', '-s', '-C', '-p', `${GUIDE_PORT}`, '-f', 'm'])
  await server.waitForLine(/Server listening on TCP port/)
  return server
}
