// A reload of everything that can change, one thing after the other, while clients come and others stay.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { IPV4, IPV6 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import { type Configuration, startConfiguredEdge, untilNothingIsLeft } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { Conversation, type LineApp, startLineApps, whoAnswers } from '../rig/line-app.ts'
import { startLoad } from '../rig/load.ts'
import { openSockets } from '../rig/process.ts'
import { type Description, LOG_ALL, resources } from '../rig/resources.ts'

const STABLE = `${IPV4.edge}:7000`
const STABLE6 = `[${IPV6.edge}]:7000`
const MOVED_FROM = `${IPV4.edge}:7001`
const MOVED_TO = `${IPV4.edge}:7002`
const SECOND_SERVICE = `${IPV4.edge}:7003`
const [A, B, C, D] = [9001, 9002, 9003, 9004].map((port) => `${IPV4.backend}:${port}`)
/** Connections that are open all the time, and say a line between any two reloads. */
const ESTABLISHED = 20
const PER_SECOND = 200
/** Asked until every app has answered; a worker that others keep busy gets few of them. */
const ANSWERS_MAX = 200
const LONG_LINE = 1_000_000

/** A configuration, and what has to be seen as soon as it holds. */
type Turn = {
  readonly name: string
  readonly configuration: Configuration
  /** Which apps answer at the frontends that all turns have; a broken file leaves those of the turn before. */
  readonly apps: readonly string[]
  readonly open?: Readonly<Record<string, readonly string[]>>
  readonly closed?: readonly string[]
  readonly hasHeader?: boolean
  readonly isRefused?: boolean
}

type Changes = {
  readonly endpoints?: readonly string[]
  readonly frontends?: Description['frontends']
  readonly services?: Description['services']
  readonly secondGroup?: readonly string[]
  readonly proxy?: object
  readonly healthCheck?: object
  readonly fields?: object
}

function configured(changes: Changes): object[] {
  const { endpoints = [A, B], secondGroup, proxy = {}, healthCheck = {}, fields = {} } = changes
  return resources({
    frontends: {
      stable: { listen: STABLE, service: 'app', proxy },
      stable6: { listen: STABLE6, service: 'app', proxy },
      ...changes.frontends,
    },
    services: {
      app: {
        groups: {
          first: { endpoints },
          ...(secondGroup === undefined ? {} : { second: { endpoints: secondGroup, zone: 'us-central1-c' } }),
        },
        healthCheck,
        fields: { connectionDraining: { drainingTimeoutSec: 300 }, ...fields },
      },
      ...changes.services,
    },
  })
}

function turns(): Turn[] {
  const extra = { listen: MOVED_FROM, service: 'app' }
  const moved = { listen: MOVED_TO, service: 'app' }
  const second = { frontends: { second: { listen: SECOND_SERVICE, service: 'second' } } }
  const secondService = { second: { groups: { others: { endpoints: [D] } } } }
  const V1 = { proxyHeader: 'PROXY_V1' }
  return [
    {
      name: 'a frontend is added',
      configuration: configured({ frontends: { extra } }),
      apps: [A, B],
      open: { [MOVED_FROM]: [A, B] },
    },
    {
      name: 'a backend is added',
      configuration: configured({ endpoints: [A, B, C], frontends: { extra } }),
      apps: [A, B, C],
    },
    { name: 'the file is broken', configuration: 'kind: [', apps: [A, B, C], isRefused: true },
    {
      name: 'a rule is wrong, and everything else in the file has changed',
      configuration: configured({ endpoints: [D], fields: { timeoutSec: -1 } }),
      apps: [A, B, C],
      isRefused: true,
    },
    {
      name: 'a backend is removed, and the frontend moves to another port',
      configuration: configured({ endpoints: [B, C], frontends: { extra: moved } }),
      apps: [B, C],
      open: { [MOVED_TO]: [B, C] },
      closed: [MOVED_FROM],
    },
    {
      name: 'headers are sent',
      configuration: configured({ endpoints: [B, C], frontends: { extra: moved }, proxy: V1 }),
      apps: [B, C],
      open: { [MOVED_TO]: [B, C] },
      hasHeader: true,
    },
    {
      name: 'a group, and a service with its frontend, are added',
      configuration: configured({
        endpoints: [B, C],
        secondGroup: [D],
        frontends: second.frontends,
        services: secondService,
      }),
      apps: [B, C, D],
      open: { [SECOND_SERVICE]: [D] },
      closed: [MOVED_TO],
    },
    {
      name: 'every backend is replaced',
      configuration: configured({ endpoints: [A], frontends: second.frontends, services: secondService }),
      apps: [A],
      open: { [SECOND_SERVICE]: [D] },
    },
    {
      name: 'health check, timeouts and log change',
      configuration: configured({ endpoints: [A], healthCheck: { checkIntervalSec: 2 }, fields: LOG_ALL }),
      apps: [A],
      closed: [SECOND_SERVICE],
    },
    {
      name: 'everything is as in the beginning',
      configuration: configured({}),
      apps: [A, B],
      closed: [MOVED_FROM, MOVED_TO, SECOND_SERVICE],
    },
  ]
}

/**
 * Goes through {@link turns} so many times under 200 connections a second, of which `between` come from one reload to
 * the next: none of them fails, and connections that were open before go on, each with its own app.
 */
export async function checkReloads(t: TestContext, rounds: number, between: number): Promise<void> {
  const { client, edge, backend } = await edgeHosts(t)
  const apps = await startLineApps(backend, [A, B, C, D])
  const live = await startConfiguredEdge(t, edge, configured({}), ['--workers', '2'])
  const sockets = openSockets(live.program.pid)
  const established = await establish(client)
  const load = await startLoad(client, { targets: [STABLE, STABLE6], perSecond: PER_SECOND })
  const accepted = (): Promise<number> => live.metric('truepeer_connections_accepted_total')
  let refusals = 0
  let reloads = 0
  const startedMs = performance.now()
  for (let round = 0; round < rounds; round++) {
    for (const turn of turns()) {
      reloads += 1
      const before = await accepted()
      await eventually('clients come', async () => (await accepted()) >= before + between)
      const outcome = await live.reload(turn.configuration)
      assert.equal(outcome, turn.isRefused === true ? 'failed' : 'ok', turn.name)
      if (turn.isRefused === true) refusals += 1
      await checkTurn(turn, client, apps)
      await checkEstablished(turn, established)
    }
  }
  const result = await load.stop()
  t.diagnostic(
    `${reloads} reloads in ${Math.round(performance.now() - startedMs)} ms, ${result.answered} connections, ` +
      `median ${result.medianMs.toFixed(1)} ms, longest ${result.maxMs.toFixed(0)} ms`,
  )
  assert.deepEqual(result.failures, {})
  assert.equal(result.answered, result.started)
  assert.ok(result.answered >= reloads * between, `${result.answered} connections`)
  const { configuration } = await live.status()
  assert.deepEqual(configuration.reloads, { ok: reloads - refusals, failed: refusals })
  for (const { conversation } of established) conversation.socket.end()
  await untilNothingIsLeft(live, sockets)
}

/** Those that clients keep open, and the app that each of them leads to. */
type Established = { readonly conversation: Conversation; readonly app: string }

async function establish(client: Host): Promise<Established[]> {
  const conversations = await Promise.all(
    Array.from({ length: ESTABLISHED }, (_, index) => Conversation.open(client, index % 2 === 0 ? STABLE : STABLE6)),
  )
  return await Promise.all(
    conversations.map(async (conversation) => ({ conversation, app: await conversation.ask('first') })),
  )
}

async function checkEstablished(turn: Turn, established: readonly Established[]): Promise<void> {
  // One of them moves more than the edge holds at once.
  const words = established.map((_, index) => `after ${turn.name}${index === 0 ? '!'.repeat(LONG_LINE) : ''}`)
  const answers = await Promise.all(established.map(({ conversation }, index) => conversation.ask(words[index])))
  assert.deepEqual(
    answers,
    established.map(({ app }) => app),
    turn.name,
  )
}

async function checkTurn(turn: Turn, client: Host, apps: readonly LineApp[]): Promise<void> {
  // Each worker goes round the apps by itself, and which of them gets a connection is for the kernel to say.
  for (const [to, expected] of Object.entries({ [STABLE]: turn.apps, [STABLE6]: turn.apps, ...turn.open })) {
    const answers = new Set<string>()
    for (let time = 0; time < ANSWERS_MAX && answers.size < expected.length; time++)
      answers.add(await whoAnswers(client, to))
    assert.deepEqual([...answers].sort(), [...expected].sort(), `${turn.name}: ${to}`)
  }
  for (const to of turn.closed ?? []) {
    assert.equal(await whoAnswers(client, to), 'ECONNREFUSED', `${turn.name}: ${to}`)
  }
  const headers = apps.flatMap((app) => app.headers.splice(0))
  if (turn.hasHeader === true) assert.ok(headers.some((header) => header.startsWith(`PROXY TCP4 ${IPV4.client} `)))
}
