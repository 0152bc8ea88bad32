import type { Point, Result, Scenario } from './result.ts'
import { compareCosts, median, type Ratio } from './statistics.ts'
import { allWorkloads, type Workload } from './workloads.ts'

const STEAL_SHARE_MAX = 0.05

/** Writes docs/performance.md: every figure of it comes from `result`. */
export function writePage(result: Result): string {
  const scenarios = [...new Set(result.targets.map((target) => target.scenario))]
  return `${[
    '# Performance',
    '',
    '<!-- Written by "npm run bench"; do not edit. -->',
    '',
    ...introduction(result),
    ...HOW_TO_MEASURE_SCALE,
    ...scenarios.flatMap((scenario) => section(result, scenario)),
    ...gapsOf(result),
  ].join('\n')}\n`
}

/** Its figures stand elsewhere: they compare two checkouts, and no other programs. */
const HOW_TO_MEASURE_SCALE = [
  'What a large configuration costs is measured apart, for one built checkout or for two that take turns:',
  '',
  ...['```sh', 'npm run bench:scale -- --checkout BEFORE --checkout AFTER --json scale.json', '```', ''],
  'It starts `truepeer edge` with 10,000 backends behind 100 frontends (`--help` names the flags for more or fewer), from',
  'a file and from a controller, and prints what workers are sent for a change, the heap of a worker, the CPU time of',
  'main thread and workers for a change and with nothing to do, and what the first connections cost after the health of',
  'one backend has changed. CPU times are those of threads, so that others may use the machine meanwhile; two checkouts',
  'and three repetitions take 20 minutes.',
  '',
]

function introduction(result: Result): string[] {
  const { secondsPerPoint, isPinned } = result
  const repetitions = new Set(result.points.map((point) => point.repetition)).size
  const stolen = result.points.filter((point) => point.stealShare > STEAL_SHARE_MAX).length
  return [
    `What truepeer costs, beside other programs that do the same, measured on ${result.date} by`,
    '',
    ...['```sh', result.command, '```', ''],
    ...Object.entries({ ...result.machine, ...result.versions }).map(([name, value]) => `- ${name}: ${value}`),
    `- repetitions: ${repetitions}, each of ${secondsPerPoint} s for each point, all programs warmed up and taking turns; ` +
      (isPinned ? 'the proxy on one CPU, load and app on another' : 'proxy, load and app on the same CPU'),
    `- ${stolen} of ${result.points.length} points lost more than ${STEAL_SHARE_MAX * 100} % of a CPU to other virtual machines`,
    '',
    '**Cost** is the CPU time of the proxy (user and system, all its processes and threads) for each operation, or of',
    'idle connections its resident memory for each. **Ratios** are costs of truepeer divided by those of the other',
    'program in the same repetition: the median of the pairs, and in brackets the interval that holds the true median',
    'with 95 % confidence (sign test; it takes six pairs). "Ahead" is said only if the whole interval lies below 1,',
    '"behind" only if it lies above 1. **floor** is not a proxy: it relays bytes with the cheapest calls there are, without',
    'a header, without rules, timeouts or a log, and shows what the kernel alone costs.',
    '',
  ]
}

const ROLES: Readonly<Record<Scenario, { readonly title: string; readonly role: string }>> = {
  agent: { title: 'truepeer agent', role: 'Reads a PROXY header and connects to the app from the address in it.' },
  edge: { title: 'truepeer edge', role: 'Takes clients and writes a PROXY header in front of their bytes.' },
  'edge-tls': {
    title: 'truepeer edge with TLS',
    role: 'The same for clients with TLS 1.3, by an ECDSA certificate (P-256); each connection is a full handshake.',
  },
}

function section(result: Result, scenario: Scenario): string[] {
  const targets = result.targets.filter((target) => target.scenario === scenario)
  const subjects = targets.filter((target) => target.kind === 'truepeer').map((target) => target.name)
  const others = targets.filter((target) => target.kind !== 'truepeer').map((target) => target.name)
  const workloads = allWorkloads(result.idleConnections).filter(({ name }) =>
    result.points.some((point) => point.scenario === scenario && point.workload === name),
  )
  const { title, role } = ROLES[scenario]
  return [
    `## ${title}`,
    '',
    role,
    '',
    `![Ratios of the ${scenario}](performance-${scenario}.svg)`,
    '',
    ...subjects.flatMap((subject) => ratioTable(result, scenario, subject, others, workloads)),
    ...verdicts(result, scenario, workloads),
    ...figures(result, scenario, workloads),
  ]
}

function ratioTable(
  result: Result,
  scenario: Scenario,
  subject: string,
  others: readonly string[],
  workloads: readonly Workload[],
): string[] {
  const rows = workloads.flatMap(({ name: workload }) => {
    const cells = others.map((other) => compareCosts(result.points, { scenario, workload, subject, other }))
    return cells.every((cell) => cell === undefined) ? [] : [tableRow([workload, ...cells.map(formatRatio)])]
  })
  if (rows.length === 0) return []
  const heads = others.map((other) => `to ${other}`)
  return [`Ratios of \`${subject}\`; bold where it is ahead:`, '', ...tableHead(['workload', ...heads]), ...rows, '']
}

/** Says where truepeer is ahead of every peer, and names everything else. */
function verdicts(result: Result, scenario: Scenario, workloads: readonly Workload[]): string[] {
  const peers = result.targets.filter((target) => target.scenario === scenario && target.kind === 'peer')
  const ahead: string[] = []
  const short: string[] = []
  for (const { name: workload } of workloads) {
    const compared = peers.flatMap(({ name: other }) => {
      const ratio = compareCosts(result.points, { scenario, workload, subject: 'truepeer', other })
      return ratio === undefined ? [] : [{ other, ratio }]
    })
    if (compared.length === 0) continue
    const notAhead = compared.filter(({ ratio }) => ratio.verdict !== 'ahead')
    if (notAhead.length === 0) ahead.push(workload)
    for (const { other, ratio } of notAhead) {
      const words = ratio.verdict === 'behind' ? `behind ${other}` : `not resolved against ${other}`
      short.push(`- ${workload}: ${words}, ${formatRatio(ratio)}`)
    }
  }
  return [
    `Ahead of every peer that was measured: ${ahead.length === 0 ? 'nowhere' : ahead.join(', ')}.`,
    '',
    ...(short.length === 0 ? [] : ['What falls short of that:', '', ...short, '']),
  ]
}

function figures(result: Result, scenario: Scenario, workloads: readonly Workload[]): string[] {
  return [
    'Medians of all repetitions:',
    '',
    ...tableHead(['workload', 'program', 'cost', 'rate', 'p50 µs', 'p99 µs', 'errors']),
    ...workloads.flatMap(({ name, costUnit, rateUnit }) =>
      result.targets.flatMap((target) => {
        const points = result.points.filter(
          (point) => point.scenario === scenario && point.workload === name && point.target === target.name,
        )
        if (target.scenario !== scenario || points.length === 0) return []
        const of = (key: 'cost' | 'rate' | 'p50Us' | 'p99Us') => median(points.map((point) => point[key]))
        const errors = points.reduce((sum, point) => sum + point.errorCount, 0)
        return [
          tableRow([
            ...[
              name,
              target.name,
              `${formatFigure(of('cost'))} ${costUnit}`,
              `${formatFigure(of('rate'))} ${rateUnit}`,
            ],
            ...[hasLatency(points) ? of('p50Us').toFixed(0) : '', hasLatency(points) ? of('p99Us').toFixed(0) : ''],
            `${errors}`,
          ]),
        ]
      }),
    ),
    '',
    ...workloads.map(({ name, meaning }) => `- ${name}: ${meaning}`),
    '',
  ]
}

function gapsOf({ gaps }: Result): string[] {
  return gaps.length === 0 ? [] : ['## Not measured', '', ...gaps.map((gap) => `- ${gap}`)]
}

function hasLatency(points: readonly Point[]): boolean {
  return points.some((point) => point.p99Us > 0)
}

function formatRatio(ratio: Ratio | undefined): string {
  if (ratio === undefined) return ''
  const { interval, verdict } = ratio
  const bounds = interval === undefined ? 'too few pairs' : `${interval.low.toFixed(2)} to ${interval.high.toFixed(2)}`
  const value = verdict === 'ahead' ? `**${ratio.median.toFixed(2)}**` : ratio.median.toFixed(2)
  return `${value} (${bounds})`
}

function formatFigure(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(value >= 10 ? 1 : 2)
}

function tableHead(cells: readonly string[]): string[] {
  return [tableRow(cells), tableRow(cells.map(() => '---'))]
}

function tableRow(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}
