import assert from 'node:assert/strict'
import type { Host } from '../../src/lab/host.ts'
import { Program } from '../../src/lab/program.ts'
import { askSocket } from './admin.ts'
import { eventually } from './eventually.ts'
import { freshSocketPath, type Running, type StartOptions, startTruepeer, TRUEPEER } from './truepeer.ts'

/** What a controller has answered. */
export type Answer = { readonly status: number; readonly body: unknown }

/** A running controller, spoken with over its UNIX socket. */
export type LiveController = {
  readonly program: Program
  /** For `--controller`. */
  readonly url: string
  readonly directory: string
  ask(method: string, path: string, body?: unknown): Promise<Answer>
}

/** Whatever answers as a controller does. */
export type Asked = Pick<LiveController, 'ask'>

export const PROJECT = '/compute/v1/projects/truepeer'
export const TEST_ZONE = 'us-central1-b'

/** Starts `truepeer controller` on a host, or outside of all, and waits until it listens. */
export async function startController(
  host: Host | undefined,
  directory: string,
  args: readonly string[] = [],
): Promise<LiveController> {
  const socketPath = freshSocketPath()
  const argv = ['controller', '--data', directory, '--create', '--unix', socketPath, ...args]
  const program = host === undefined ? new Program(TRUEPEER, argv) : host.start(TRUEPEER, argv)
  await program.waitForLine(/"msg":"listening"/, { timeoutMs: 60_000 })
  return {
    program,
    url: `unix:${socketPath}`,
    directory,
    ask: (method, path, body) => askController(socketPath, method, path, body),
  }
}

/** Starts an edge, `edge-1` if `args` have no other `--name`, that follows the controller at `url`, and waits until it does. */
export function startFollowingEdge(
  host: Host | undefined,
  url: string,
  state: string,
  args: readonly string[] = [],
  options: StartOptions = {},
): Promise<Running> {
  const name = args.includes('--name') ? [] : ['--name', 'edge-1']
  const follows = ['--controller', url, ...name, '--state', state]
  return startTruepeer(host, 'edge', [...follows, ...args], { ready: /following the controller/, ...options })
}

/** Asks a controller at its UNIX socket. */
export async function askController(
  socketPath: string,
  method: string,
  path: string,
  document?: unknown,
): Promise<Answer> {
  const { status, body } = await askSocket(socketPath, method, path, document)
  return { status, body: body === '' ? undefined : (JSON.parse(body) as unknown) }
}

/** An edge as a controller lists it. */
export type EdgeItem = {
  readonly name: string
  readonly isConnected: boolean
  readonly report?: {
    readonly applied: { readonly version: number }
    readonly refused?: { readonly version: number; readonly problems: readonly string[] }
    readonly health: Readonly<Record<string, string>>
  }
}

/** The edges that a controller knows. */
export async function edgesOf(controller: LiveController): Promise<readonly EdgeItem[]> {
  const { body } = await controller.ask('GET', '/truepeer/v1/edges')
  return (body as { readonly items: readonly EdgeItem[] }).items
}

/** Waits for an edge to be as it should. */
export async function edgeIsAt(controller: LiveController, isThere: (edge: EdgeItem) => boolean): Promise<void> {
  await eventually('the edge has reported', async () => (await edgesOf(controller)).some(isThere))
}

/** Sends a change, and holds that its operation is done without an error. */
export async function change(controller: Asked, method: string, path: string, body?: unknown): Promise<void> {
  const answer = await controller.ask(method, `${PROJECT}/${path}`, body)
  assert.equal(answer.status, 200, `${method} ${path}: ${JSON.stringify(answer.body)}`)
  let operation = answer.body as Operation
  // Whoever makes machines takes its time.
  await eventually(`${method} ${path} is done`, async () => {
    if (operation.status === 'DONE') return true
    operation = (await controller.ask('GET', new URL(operation.selfLink).pathname)).body as Operation
    return false
  })
  assert.equal(operation.error, undefined, JSON.stringify(operation))
}

type Operation = { readonly status?: string; readonly selfLink: string; readonly error?: unknown }

/** Inserts all behind a forwarding rule: one instance with this address and port, which is checked every second. */
export async function insertChain(controller: Asked, address: string, port: number): Promise<void> {
  const zone = `zones/${TEST_ZONE}`
  const tcp = { type: 'TCP', tcpHealthCheck: { portSpecification: 'USE_SERVING_PORT' } }
  await change(controller, 'POST', 'global/healthChecks', { name: 'check', checkIntervalSec: 1, timeoutSec: 1, ...tcp })
  await change(controller, 'POST', `${zone}/instances`, {
    name: 'backend',
    machineType: `${zone}/machineTypes/e2-micro`,
    networkInterfaces: [{ networkIP: address }],
  })
  await change(controller, 'POST', `${zone}/instanceGroups`, { name: 'group', namedPorts: [{ name: 'app', port }] })
  await change(controller, 'POST', `${zone}/instanceGroups/group/addInstances`, {
    instances: [{ instance: `${zone}/instances/backend` }],
  })
  await change(controller, 'POST', 'global/backendServices', {
    name: 'service',
    protocol: 'TCP',
    portName: 'app',
    timeoutSec: 300,
    healthChecks: ['global/healthChecks/check'],
    backends: [{ group: `${zone}/instanceGroups/group`, balancingMode: 'CONNECTION', maxConnections: 1000 }],
  })
  await change(controller, 'POST', 'global/targetTcpProxies', {
    name: 'proxy',
    service: 'global/backendServices/service',
    proxyHeader: 'NONE',
  })
}

/** Inserts a forwarding rule to what {@link insertChain} has made, or to another target proxy. */
export async function insertRule(
  controller: Asked,
  name: string,
  address: string,
  port: number,
  target = 'targetTcpProxies/proxy',
): Promise<void> {
  await change(controller, 'POST', 'global/forwardingRules', {
    name,
    IPAddress: address,
    IPProtocol: 'TCP',
    portRange: `${port}-${port}`,
    target: `global/${target}`,
    loadBalancingScheme: 'EXTERNAL',
  })
}
