import {
  type ChoiceDecider,
  type ExplainedGroup,
  type Explanation,
  isWhyAnswer,
  type OutReason,
} from '../telemetry/edge-why.ts'
import { withoutControls } from '../text/plain-text.ts'
import { table } from './table.ts'

/** Why a region got a connection, in words. */
const REASONS: Readonly<Record<string, string>> = {
  nearest: 'it is the nearest region of the service',
  full: 'the nearest region is at its target',
  unhealthy: 'the nearest region has too few healthy backends',
  drained: 'the nearest region is drained',
  preferred: 'its group is preferred',
  spray: 'SPRAY_TO_WORLD prefers no region',
  affinity: 'SPRAY_TO_WORLD prefers no region, and the affinity of the client chose the group',
}

/** How the sentence about the choice begins. */
const DECIDED_BY: Readonly<Record<ChoiceDecider, string>> = {
  client: 'It gets',
  connection: 'Its port, or the address that it connects to, decides, too; it may get',
  turns: 'Groups and backends have their turns; it may get',
}

/** Reads what `/why` answers. @throws Error when it is no explanation of this version */
export function readWhy(body: string): readonly Explanation[] {
  let answer: unknown
  try {
    answer = JSON.parse(body)
  } catch {
    // Not even JSON: the same message says what to do.
  }
  if (!isWhyAnswer(answer) || answer.kind !== 'explained') {
    throw new Error('The answer is not one of an edge of this version; compare "truepeer --version" of both')
  }
  return answer.explanations
}

/** Explanations for a terminal. */
export function formatWhy(explanations: readonly Explanation[]): string {
  return `${explanations.map(formatOne).join('\n\n\n')}\n`
}

function formatOne(it: Explanation): string {
  return [
    [
      `Client ${it.client} at ${it.frontend} (${it.address}), backend service ${it.service}`,
      `Edge ${placeOf(it.edge)}; targets are shared by ${it.edge.edges === 1 ? 'this edge alone' : `${it.edge.edges} edges`}`,
      policyLine(it),
      ...(it.openMax === undefined ? [] : [`Connections of the service: ${it.open} of ${it.openMax}`]),
    ]
      .map(withoutControls)
      .join('\n'),
    table(
      ['NEAREST FIRST', 'KILOMETRES', 'CONNECT MS'],
      it.regions.map(({ region, kilometres, connectMs }) => [
        region === '' ? '-' : region,
        kilometres ?? '-',
        connectMs === undefined ? '-' : connectMs.toFixed(1),
      ]),
    ),
    table(
      [
        'LEVEL',
        'BEGIN HERE',
        'GROUP',
        'REGION',
        'HEALTHY',
        'PART',
        'TARGET',
        'LOAD',
        'OPEN',
        'ELSEWHERE',
        'LIMIT',
        'STATE',
      ],
      it.groups.map(groupRow),
    ),
    withoutControls(choiceLine(it)),
  ].join('\n\n')
}

function policyLine({ policy, affinity, edge }: Explanation): string {
  const { algorithm, failoverHealthThreshold, isolation, locality, affinity: kind } = policy
  const effect = edge.region === undefined ? ' (without effect: the edge knows no region)' : ''
  const limits = isolation === 'none' ? '' : `, isolation ${isolation}${effect}`
  const hash = affinity === undefined ? '' : `; hash ${affinity.hash}`
  const slot = affinity?.slot === undefined ? '' : `, slot ${affinity.slot}`
  const spreading = `${algorithm}, failover below ${failoverHealthThreshold} % healthy${limits}`
  return `Policy ${spreading}; ${locality}, affinity ${kind}${hash}${slot}`
}

function groupRow(it: ExplainedGroup): (string | number)[] {
  return [
    it.level === undefined ? '-' : it.level + 1,
    percent(it.share),
    it.name,
    it.region === '' ? '-' : it.region,
    `${it.healthy}/${it.members}`,
    percent(it.part),
    targetOf(it),
    it.utilization === undefined ? '-' : percent(it.utilization),
    it.open,
    it.openElsewhere ?? '-',
    it.limit === undefined ? '-' : Math.round(it.limit),
    it.state,
  ]
}

function targetOf({ target, maxUtilization }: ExplainedGroup): string {
  const bounds = [
    ...(maxUtilization === undefined ? [] : [percent(maxUtilization)]),
    ...(target === undefined ? [] : [`${target} connections`]),
  ]
  return bounds.length === 0 ? '-' : bounds.join(', ')
}

function choiceLine({ edge, address, choice, groups, open, openMax }: Explanation): string {
  const end = address.endsWith('/udp') ? 'Its datagrams are dropped' : 'It is reset'
  if (openMax !== undefined && open >= openMax) return `${end}: the service has as many connections as it may`
  if (choice === undefined) return `${end}: ${whyNobody(groups)}`
  const { group, backend, endpoint, region, reason, decidedBy } = choice
  return `${DECIDED_BY[decidedBy]} ${group}/${backend} at ${endpoint} in ${region === '' ? '-' : region}: ${edge.region === undefined && reason === 'nearest' ? 'the edge has no region, so all are equally near' : (REASONS[reason] ?? reason)}`
}

/** Why no backend gets connections: what the groups say, and in the others what their backends say. */
function whyNobody(groups: readonly ExplainedGroup[]): string {
  const inState = (state: string): number =>
    groups.reduce((sum, it) => sum + (it.state === state ? it.members + it.out.drained : 0), 0)
  const others = groups.filter(({ state }) => state !== 'off' && state !== 'isolated')
  const out = (reason: OutReason): number => others.reduce((sum, it) => sum + it.out[reason], 0)
  const counts: readonly (readonly [number, string])[] = [
    [inState('off'), 'in a group with capacityScaler 0'],
    [inState('isolated'), 'in another region (isolation STRICT)'],
    [out('drained'), 'drained by an operator'],
    [out('unhealthy'), 'unhealthy'],
    [out('unknown'), 'not checked yet'],
    [out('ejected'), 'ejected by outlier detection'],
    [out('appDown'), 'behind an agent whose app does not listen'],
  ]
  const given = counts.filter(([count]) => count > 0)
  if (given.length === 0) return 'the service has no backends'
  return `no backend can be chosen; ${given.map(([count, what]) => `${count} ${count === 1 ? 'is' : 'are'} ${what}`).join(', ')}`
}

function placeOf({ region, zone }: Explanation['edge']): string {
  if (region === undefined) return 'without a region'
  return zone === undefined ? `in ${region}` : `in ${zone}`
}

function percent(part: number): string {
  return `${Math.round(part * 100)}%`
}
