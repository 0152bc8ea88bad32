import { parseEndpoint } from '../address/endpoint.ts'
import { parseIpAddress } from '../address/ip-address.ts'
import { isListOf, isNumber, isObjectOf, isOptional, isText } from '../snapshot/shape.ts'
import type { AgentStatus } from '../telemetry/agent-status.ts'
import type { BackendStatus, EdgeStatus } from '../telemetry/edge-status.ts'
import type { WhyQuestion } from '../telemetry/edge-why.ts'
import type { ListenAddress } from '../telemetry/listen.ts'
import { firstOf } from '../text/counts.ts'
import { withoutControls } from '../text/plain-text.ts'
import { readAdminAnswer } from './admin-answer.ts'
import { formatAgentStatus, isAgentStatus } from './agent-status.ts'
import { CONNECTIONS_MAX, parseAdmin } from './data-plane-flags.ts'
import { parseFlags, quoted, switchFlag, UsageError, valueFlag } from './flags.ts'
import { table } from './table.ts'
import { parseText } from './values.ts'

/** The flags of `truepeer status`. */
export const statusFlags = {
  admin: valueFlag(
    'admin',
    'HOST:PORT|unix:PATH',
    'The address of the admin server of the edge or agent, as given to its --admin',
    parseAdmin,
    '127.0.0.1:9112',
  ),
  json: switchFlag('json', 'Print JSON instead of tables'),
  why: valueFlag(
    'why',
    'CLIENT',
    'Explain which backend of an edge a client at this address gets now, and why: the order of regions, targets, loads and states of groups, and the choice. ADDR or ADDR:PORT',
    parseClient,
  ),
  frontend: valueFlag(
    'frontend',
    'NAME',
    'With --why: the forwarding rule that the client connects to; without this flag, each is explained',
    parseText,
  ),
} as const

const SECONDS_PER_DAY = 86_400
/** Host names of a certificate that the table shows. */
const NAMES_MAX = 3

/** What the command line of `truepeer status` says. */
export type StatusCommand = {
  readonly admin: ListenAddress
  readonly json: boolean
  /** undefined: the status is asked for. */
  readonly why: WhyQuestion | undefined
}

/** Reads the arguments behind `truepeer status`. @throws UsageError */
export function parseStatus(argv: readonly string[]): StatusCommand {
  const values = parseFlags(argv, statusFlags)
  const [client] = values.why
  const [frontend] = values.frontend
  if (client === undefined && frontend !== undefined) {
    throw new UsageError('--frontend is for --why; give --why CLIENT with it, or leave it out')
  }
  const why = client === undefined ? undefined : { client, frontend }
  return { admin: values.admin[0], json: values.json.length > 0, why }
}

/** What an admin server, and a controller of an edge, is asked for an explanation. */
export function whyPath({ client, frontend }: WhyQuestion): string {
  return `/why?${new URLSearchParams({ client, ...(frontend === undefined ? {} : { frontend }) })}`
}

function parseClient(text: string, flag: string): string {
  if (parseIpAddress(text) !== undefined || parseEndpoint(text) !== undefined) return text
  throw new UsageError(`${flag} ${quoted(text)} is not a client; write its address, such as 192.0.2.7`)
}

/** The health check behind an agent may succeed though it is so. */
const APP_DOWN = 'the app does not listen, as its agent says'

const isEndpoint = { address: isText, port: isNumber, open: isNumber } as const
const isCertificate = isObjectOf({
  name: isText,
  keyKind: isText,
  expiresAt: isText,
  expiresInSec: isNumber,
  names: isListOf(isText),
  warnings: isListOf(isText),
})
const isTls = isObjectOf({
  policy: isText,
  profile: isText,
  minVersion: isText,
  unavailable: isListOf(isText),
  certificates: isListOf(isCertificate),
})
const isFrontend = isObjectOf({ ...isEndpoint, name: isText, proxy: isText, service: isText, tls: isOptional(isTls) })
const isBackend = isObjectOf({ ...isEndpoint, name: isText, health: isText, availability: isText })
const isGroup = isObjectOf({
  name: isText,
  region: isText,
  balancing: isObjectOf({ mode: isText, capacityScaler: isNumber }),
  members: isNumber,
  healthy: isNumber,
  state: isText,
  limit: isOptional(isNumber),
  utilization: isOptional(isNumber),
  openElsewhere: isOptional(isNumber),
  backends: isListOf(isBackend),
})
/** As much of an {@link EdgeStatus} as the tables cannot do without. */
const isStatus = isObjectOf({
  configuration: isObjectOf({
    version: isNumber,
    appliedAt: isText,
    reloads: isObjectOf({ ok: isNumber, failed: isNumber }),
    problems: isListOf(isText),
    unopened: isOptional(isListOf(isText)),
  }),
  place: isObjectOf({
    region: isOptional(isText),
    zone: isOptional(isText),
    proximity: isText,
    edges: isNumber,
    regions: isListOf(
      isObjectOf({ region: isText, kilometres: isOptional(isNumber), connectMs: isOptional(isNumber) }),
    ),
  }),
  frontends: isListOf(isFrontend),
  services: isListOf(isObjectOf({ name: isText, groups: isListOf(isGroup) })),
  leaving: isListOf(isObjectOf({ ...isEndpoint, key: isText })),
})

/**
 * Reads what `/status` answers.
 *
 * @throws Error when it is not the status of an edge or an agent
 */
export function readStatus(body: string): EdgeStatus | AgentStatus {
  return readAdminAnswer<EdgeStatus | AgentStatus>(body, (status) => isAgentStatus(status) || isStatus(status))
}

/** The parts of an edge or an agent as aligned tables for a terminal. */
export function formatStatus(status: EdgeStatus | AgentStatus): string {
  return 'listeners' in status ? formatAgentStatus(status) : formatEdgeStatus(status)
}

function formatEdgeStatus({ configuration, place, frontends, services, leaving }: EdgeStatus): string {
  const { version, appliedAt, reloads, problems, unopened = [] } = configuration
  const groups = services.flatMap((service) => service.groups.map((group) => ({ service, group })))
  const blocks = [
    [
      `Configuration ${version}, applied ${appliedAt}; reloads: ${reloads.ok} ok, ${reloads.failed} failed`,
      ...(problems.length === 0 ? [] : ['The last reload was refused:', ...problems.map((problem) => `  ${problem}`)]),
      ...(unopened.length === 0 ? [] : ['Not served:', ...unopened.map((problem) => `  ${problem}`)]),
    ]
      .map(withoutControls)
      .join('\n'),
    ...placeBlocks(place),
    table(
      ['FRONTEND', 'ADDRESS', 'PROXY', 'TLS', 'HEADER', 'SERVICE', 'OPEN', 'TOTAL', 'REFUSED'],
      frontends.map((it) => [
        it.name,
        it.protocol === 'UDP' ? `${endpoint(it)}/udp` : endpoint(it),
        it.proxy === '' ? '-' : it.proxy,
        it.tls === undefined ? '-' : `${it.tls.profile}, ${it.tls.minVersion}`,
        it.proxyHeader,
        it.service,
        it.open,
        it.connections,
        it.refused + it.noBackend,
      ]),
    ),
    ...certificateBlocks(frontends),
    table(
      ['SERVICE', 'GROUP', 'REGION', 'HEALTHY', 'MODE', 'TARGET', 'LOAD', 'STATE', 'LIMIT', 'ELSEWHERE', 'OPEN'],
      groups.map(({ service, group }) => [
        service.name,
        group.name,
        group.region,
        `${group.healthy}/${group.members}`,
        group.balancing.mode,
        targetCapacity(group.balancing),
        group.utilization === undefined ? '-' : percent(group.utilization),
        group.state,
        group.limit === undefined ? '-' : Math.round(group.limit),
        group.openElsewhere ?? '-',
        group.open,
      ]),
    ),
    table(
      ['BACKEND', 'ADDRESS', 'HEALTH', 'AVAILABLE', 'LOAD', 'OPEN', 'TOTAL', 'FAILED', 'LAST ERROR'],
      groups.flatMap(({ service, group }) =>
        group.backends.map((it) => [
          `${service.name}/${group.name}/${it.name}`,
          endpoint(it),
          it.health,
          availability(it),
          it.utilization === undefined ? '-' : percent(it.utilization),
          it.open,
          it.connections,
          it.connectFailures,
          it.isAppDown ? APP_DOWN : (it.probes?.lastError ?? ''),
        ]),
      ),
    ),
    ...(leaving.length === 0
      ? []
      : [
          table(
            ['LEAVING', 'ADDRESS', 'OPEN', 'ENDS'],
            leaving.map((it) => [it.key, endpoint(it), it.open, it.endsAt ?? '-']),
          ),
        ]),
  ]
  return `${blocks.join('\n\n')}\n`
}

/** Where the edge is; nothing where it has no region, and no other edges. */
function placeBlocks({ region, zone, proximity, edges, regions }: EdgeStatus['place']): string[] {
  if (region === undefined && edges === 1 && proximity === 'distance') return []
  const where = region === undefined ? 'The edge has no region' : `The edge is in ${zone ?? region}`
  const shared = edges === 1 ? '' : `; targets are shared by ${edges} edges`
  const rows = regions.map(({ region: name, kilometres, connectMs }) => [
    name === '' ? '-' : name,
    kilometres ?? '-',
    connectMs === undefined ? '-' : connectMs.toFixed(1),
  ])
  return [
    withoutControls(
      `${where}; regions are ordered by ${proximity === 'measured' ? 'measured times' : proximity}${shared}`,
    ),
    ...(rows.length < 2 ? [] : [table(['NEAREST FIRST', 'KILOMETRES', 'CONNECT MS'], rows)]),
  ]
}

/** A table of the certificates that clients are shown, and what deserves a look. */
function certificateBlocks(frontends: EdgeStatus['frontends']): string[] {
  const used = frontends.flatMap(({ proxy, tls }) => (tls?.certificates ?? []).map((it) => ({ proxy, it })))
  // Several frontends may have one proxy.
  const rows = [...new Map(used.map((row) => [`${row.proxy} ${row.it.name}`, row])).values()]
  if (rows.length === 0) return []
  const head = ['CERTIFICATE', 'PROXY', 'KEY', 'EXPIRES', 'DAYS', 'NAMES']
  const cells = rows.map(({ proxy, it }) => [
    it.name,
    proxy,
    it.keyKind,
    it.expiresAt,
    Math.floor(it.expiresInSec / SECONDS_PER_DAY),
    firstOf(it.names, NAMES_MAX),
  ])
  const certificates = rows.flatMap(({ it }) => it.warnings.map((warning) => `  ${it.name}: ${warning}`))
  const policies = frontends.flatMap(({ tls }) => {
    if (tls === undefined || tls.unavailable.length === 0) return []
    return [
      `  ${tls.policy === '' ? tls.profile : tls.policy}: this OpenSSL does not support ${tls.unavailable.join(', ')}`,
    ]
  })
  const warnings = [...new Set([...certificates, ...policies])].map(withoutControls)
  return [table(head, cells), ...(warnings.length === 0 ? [] : [['Warnings of TLS:', ...warnings].join('\n')])]
}

function targetCapacity(balancing: EdgeStatus['services'][number]['groups'][number]['balancing']): string {
  const { maxUtilization, maxConnections, capacityScaler } = balancing
  const bounds = [
    ...(maxUtilization === undefined ? [] : [percent(maxUtilization)]),
    ...(isUnbounded(maxConnections) ? [] : [`${maxConnections} connections`]),
  ]
  const scaled = capacityScaler === 1 ? '' : ` x ${capacityScaler}`
  return `${bounds.length === 0 ? '-' : bounds.join(', ')}${scaled}`
}

/** More than an edge can have is how "as many as come" is written: the API has no other word for it. */
function isUnbounded(maxConnections: number | undefined): boolean {
  return maxConnections === undefined || maxConnections > CONNECTIONS_MAX
}

function availability({ availability: state, isDrained, isEjected }: BackendStatus): string {
  // With all others down, the ejected ones serve.
  if (isEjected) return state === 'up' ? 'up, ejected' : 'ejected'
  return isDrained ? 'drained' : state
}

function endpoint({ address, port }: { readonly address: string; readonly port: number }): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

function percent(part: number): string {
  return `${Math.round(part * 100)}%`
}
