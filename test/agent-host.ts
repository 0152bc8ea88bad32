import assert from 'node:assert/strict'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Host } from '../src/lab/host.ts'
import { Lab } from '../src/lab/lab.ts'
import type { Program } from '../src/lab/program.ts'

/** The program as a user starts it. */
export const TRUEPEER = fileURLToPath(new URL('../../bin/truepeer', import.meta.url))

/** The edge's addresses towards the backend: what an app would see without an agent. */
export const EDGE = '35.191.0.9'
export const EDGE6 = '2001:db8:35::9'
/** The backend host's own addresses. */
export const BACKEND = '10.128.0.2'
export const BACKEND6 = '2001:db8:10::2'
/** Where the agent listens, and where the app does. */
export const AGENT = `${BACKEND}:110`
export const AGENT6 = `[${BACKEND6}]:110`
export const APP = '127.0.0.1:112'
export const APP6 = '[::1]:112'
/** A client that is nowhere in the lab: its address is only in headers. */
export const CLIENT = '209.52.88.4'
export const CLIENT6 = '2001:db8:209::4'

/** Two linked hosts: `edge` sends headers, `backend` has the routing of guide step 21 and runs agent and app. */
export type AgentHosts = { readonly lab: Lab; readonly edge: Host; readonly backend: Host }

/** Builds the two hosts; they are removed when the test ends. */
export async function agentHosts(t: TestContext): Promise<AgentHosts> {
  const lab = new Lab()
  t.after(() => lab.close())
  const edge = await lab.addHost('edge')
  const backend = await lab.addHost('backend')
  await lab.link(
    { host: edge, addresses: [`${EDGE}/16`, `${EDGE6}/64`], routes: ['10.128.0.0/20', '2001:db8:10::/64'] },
    { host: backend, addresses: [`${BACKEND}/20`, `${BACKEND6}/64`], routes: ['35.191.0.0/16', '2001:db8:35::/64'] },
  )
  await backend.ip('rule add from 127.0.0.0/8 iif lo lookup 100')
  await backend.ip('route add local 0.0.0.0/0 dev lo table 100')
  await backend.ip('-6 rule add from ::1/128 iif lo lookup 100')
  await backend.ip('-6 route add local ::/0 dev lo table 100')
  return { lab, edge, backend }
}

/** A running edge or agent, with the values of its metrics. */
export type Running = {
  readonly program: Program
  /** The value of a metric as it is written in the exposition, such as `truepeer_x_total{reason="y"}`. */
  metric(name: string): Promise<number>
}

let adminCount = 0

/** Starts `truepeer COMMAND args` on a host and waits until it listens. */
export async function startTruepeer(host: Host, command: 'agent' | 'edge', args: readonly string[]): Promise<Running> {
  const adminPath = join(tmpdir(), `truepeer-test-${process.pid}-${adminCount++}.sock`)
  const program = host.start(TRUEPEER, [command, ...args, '--admin', `unix:${adminPath}`])
  await program.waitForLine(/"msg":"listening"/)
  return {
    program,
    async metric(name) {
      const line = (await readMetrics(adminPath)).split('\n').find((text) => text.startsWith(`${name} `))
      assert.ok(line, `there is no metric ${name}`)
      return Number(line.slice(name.length))
    },
  }
}

/** Starts an agent with the usual addresses that trusts everyone; `args` come last. */
export function startAgent(host: Host, args: readonly string[] = []): Promise<Running> {
  const usual = ['-l', AGENT, '-4', APP, '-6', APP6]
  const trust = args.includes('--allowed-subnets') ? [] : ['--allow-all-subnets']
  return startTruepeer(host, 'agent', [...usual, ...trust, ...args])
}

/** The text that `/metrics` answers on a UNIX socket. */
export function readMetrics(adminPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: adminPath, path: '/metrics' }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve(Buffer.concat(chunks).toString()))
    })
    asked.on('error', reject)
    asked.end()
  })
}

/** A version 1 header from `source` for the agent's port. */
export function headerFrom(source: string, port = 51_234): string {
  const isIpv6 = source.includes(':')
  return `PROXY ${isIpv6 ? 'TCP6' : 'TCP4'} ${source} ${isIpv6 ? BACKEND6 : BACKEND} ${port} 110\r\n`
}

/** Polls until `isTrue` holds; fails with `what` after `timeoutMs`. */
export async function eventually(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  timeoutMs = 5_000,
): Promise<void> {
  for (const deadlineMs = Date.now() + timeoutMs; ; ) {
    if (await isTrue()) return
    assert.ok(Date.now() < deadlineMs, `not within ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
