import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Finding } from '../../src/host/finding.ts'
import type { Host } from '../../src/lab/host.ts'
import { testDirectory } from '../rig/directory.ts'
import { shell } from '../rig/shell.ts'
import { bareHosts, truepeer } from './bare-hosts.ts'

/** The flags of an agent for both families. */
export const AGENT = '-l 10.128.0.2:110 -4 127.0.0.1:112 -6 [::1]:112'

/** What the doctor found. */
export type Examined = {
  readonly exitCode: number | undefined
  readonly status: Readonly<Record<string, string>>
  text: string
}

/** Runs the doctor; `status` has each finding's status by its name. */
export async function examine(host: Host, words: string, wrapper: readonly string[] = []): Promise<Examined> {
  const { exitCode, stdout, stderr } = await truepeer(host, `doctor agent ${words} --json`, wrapper)
  assert.notEqual(stdout, '', stderr)
  const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: readonly Finding[] }
  assert.equal(exitCode, ok ? 0 : 1)
  for (const { name, status, remedy } of findings) assert.equal(remedy === '', status === 'ok', `remedy of ${name}`)
  return { exitCode, status: Object.fromEntries(findings.map(({ name, status }) => [name, status])), text: stdout }
}

/** The findings that are not ok. */
export function problems({ status }: Examined): Record<string, string> {
  return Object.fromEntries(Object.entries(status).filter(([, value]) => value !== 'ok'))
}

/** A host where everything is as it should be; `words` are the agent's flags. */
export async function goodHost(t: TestContext): Promise<{ readonly backend: Host; readonly words: string }> {
  const { backend } = await bareHosts(t)
  assert.equal((await truepeer(backend, 'host-setup apply')).exitCode, 0)
  await shell(backend, 'echo 15000 32767 > /proc/sys/net/ipv4/ip_local_port_range')
  await backend.listen('127.0.0.1:112', (socket) => socket.end())
  await backend.listen('[::1]:112', (socket) => socket.end())
  const directory = testDirectory(t)
  const file = join(directory, 'edges.txt')
  writeFileSync(file, '35.191.0.0/16\n')
  return { backend, words: `${AGENT} --max-connections 1000 --allowed-subnets ${file}` }
}
