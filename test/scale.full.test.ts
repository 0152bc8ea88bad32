import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Host } from '../src/lab/host.ts'
import type { Program } from '../src/lab/program.ts'
import { AGENT, agentHosts, BACKEND, eventually, type Running, startAgent } from './agent-host.ts'
import type { ScaleRound, Step } from './scale-client.ts'

const APP_PROGRAM = fileURLToPath(new URL('./scale-app.js', import.meta.url))
const CLIENT_PROGRAM = fileURLToPath(new URL('./scale-client.js', import.meta.url))

const ROUNDS = 3
const CONNECTIONS = 2_000
const BUSY = 100
const BYTES_EACH = 1_000_000
const RSS_GROWTH_BYTES_MAX = 2_000_000
const STEP_TIMEOUT_MS = 30_000

async function startApp(backend: Host): Promise<Program> {
  const app = backend.start(process.execPath, [APP_PROGRAM, '127.0.0.1', '112', '::1', '112'])
  await app.waitForLine(/^listening on ::1/)
  return app
}

function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

function rssBytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib) * 1_024
}

test('agent', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const agent = await startAgent(backend)
  await sleep(500)
  const pid = agent.program.pid
  const before = openDescriptors(pid)
  console.log('start', before, rssBytes(pid))
  const { address, port } = { address: BACKEND, port: 110 }
  const targets = [
    { host: address, port, header: 'TCP4' },
    { host: address, port, header: 'TCP6' },
  ] as const
  for (let round = 0; round < ROUNDS; round++) {
    const t0 = Date.now()
    let app = await startApp(backend)
    const options: ScaleRound = { targets, firstId: round * 5_000, connections: CONNECTIONS, busy: BUSY, bytesEach: BYTES_EACH }
    const client = edge.start(process.execPath, [CLIENT_PROGRAM, JSON.stringify(options)])
    const step = async (name: string) => {
      const line = await client.waitForLine(new RegExp(`^{"step":"${name}"`), { timeoutMs: STEP_TIMEOUT_MS })
      console.log(Date.now() - t0, line, rssBytes(pid), openDescriptors(pid), await agent.metric('truepeer_connections_open'))
    }
    await step('open')
    await step('exchanged')
    await step('streaming')
    app.kill()
    console.log(app.texts())
    await step('broken')
    await sleep(500)
    app = await startApp(backend)
    await step('served')
    await client.exited
    console.log(client.texts(), app.texts())
    await app.stop()
    for (let i = 0; i < 5; i++) {
      await sleep(1000)
      console.log('rss', rssBytes(pid), openDescriptors(pid), await agent.metric('truepeer_connections_open'))
    }
  }
})
