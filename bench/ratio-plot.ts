import type { Result, Scenario } from './result.ts'
import { compareCosts, type Ratio } from './statistics.ts'
import { allWorkloads } from './workloads.ts'

/** A ratio of the plot, with the label of its line. */
export type PlotLine = { readonly label: string; readonly color: string; readonly ratio: Ratio }

/** Lines that belong together, under a title. */
export type PlotGroup = { readonly title: string; readonly lines: readonly PlotLine[] }

const WIDTH = 820
const LEFT = 230
const RIGHT = 110
const TOP = 74
const LINE_HEIGHT = 18
const GROUP_GAP = 14
const TICKS = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20]
// Okabe and Ito's palette: distinct for colour-blind readers as well.
const COLORS = ['#0072b2', '#56b4e9', '#009e73', '#8fbc3f', '#d55e00', '#777777']

/** Draws the ratios of truepeer's costs to those of all others in one scenario. */
export function writeRatioPlot(result: Result, scenario: Scenario): string {
  const others = result.targets.filter((target) => target.scenario === scenario && target.kind !== 'truepeer')
  const groups = allWorkloads(result.idleConnections).flatMap(({ name: workload, meaning }) => {
    const lines = others.flatMap(({ name: other, kind }, index) => {
      // The memory of a relay that knows nothing about its connections would squeeze all the rest into a corner.
      if (kind === 'floor' && workload === 'idle') return []
      const ratio = compareCosts(result.points, { scenario, workload, subject: 'truepeer', other })
      return ratio === undefined ? [] : [{ label: other, color: COLORS[index % COLORS.length], ratio }]
    })
    return lines.length === 0 ? [] : [{ title: `${workload}: ${meaning}`, lines }]
  })
  return drawRatios(`truepeer ${scenario}: cost as a ratio to the cost of others`, groups)
}

/** Draws groups of ratios on a logarithmic scale, each a dot with its interval, as an SVG document. */
export function drawRatios(title: string, groups: readonly PlotGroup[]): string {
  const lineCount = groups.reduce((sum, group) => sum + group.lines.length + 1, 0)
  const bottom = TOP + lineCount * LINE_HEIGHT + groups.length * GROUP_GAP
  const scale = logarithmicScale(groups)
  const body: string[] = []
  for (const tick of TICKS.filter((value) => value >= scale.low && value <= scale.high)) {
    const x = scale.at(tick)
    const look = tick === 1 ? 'stroke="#333" stroke-width="1.5"' : 'stroke="#ddd"'
    body.push(`<line x1="${x}" y1="${TOP - 8}" x2="${x}" y2="${bottom}" ${look}/>`)
    body.push(`<text x="${x}" y="${TOP - 14}" text-anchor="middle">${tick}</text>`)
  }
  let y = TOP
  for (const group of groups) {
    y += GROUP_GAP + LINE_HEIGHT
    body.push(`<text x="12" y="${y - 5}" font-weight="bold">${escapeXml(group.title)}</text>`)
    for (const line of group.lines) {
      body.push(...drawLine(line, y + LINE_HEIGHT / 2, scale.at))
      y += LINE_HEIGHT
    }
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${bottom + 16}" viewBox="0 0 ${WIDTH} ${bottom + 16}" font-family="system-ui, sans-serif" font-size="12" fill="#222">
<title>${escapeXml(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="12" y="24" font-size="16" font-weight="bold">${escapeXml(title)}</text>
<text x="12" y="42">left of 1 truepeer is cheaper; dot: median of pairs, bar: 95 % interval, hollow: not resolved</text>
${body.join('\n')}
</svg>
`
}

function drawLine({ label, color, ratio }: PlotLine, y: number, at: (value: number) => number): string[] {
  const x = at(ratio.median)
  const fill = ratio.verdict === 'not resolved' ? '#fff' : color
  const { interval } = ratio
  const bar =
    interval === undefined
      ? []
      : [
          `<line x1="${at(interval.low)}" y1="${y}" x2="${at(interval.high)}" y2="${y}" stroke="${color}" stroke-width="3"/>`,
        ]
  return [
    `<text x="${LEFT - 12}" y="${y + 4}" text-anchor="end">${escapeXml(label)}</text>`,
    ...bar,
    `<circle cx="${x}" cy="${y}" r="4.5" fill="${fill}" stroke="${color}" stroke-width="2"/>`,
    `<text x="${WIDTH - RIGHT + 12}" y="${y + 4}">${ratio.median.toFixed(2)}</text>`,
  ]
}

/** From the least to the greatest value, and 1, with a little room; `at` gives the horizontal place of a value. */
function logarithmicScale(groups: readonly PlotGroup[]): { low: number; high: number; at: (value: number) => number } {
  const values = groups.flatMap(({ lines }) =>
    lines.flatMap(({ ratio }) => [
      ratio.median,
      ratio.interval?.low ?? ratio.median,
      ratio.interval?.high ?? ratio.median,
    ]),
  )
  const low = Math.min(0.5, ...values) / 1.1
  const high = Math.max(1.5, ...values) * 1.1
  const unit = (WIDTH - RIGHT - LEFT) / Math.log(high / low)
  return { low, high, at: (value) => Math.round((LEFT + Math.log(value / low) * unit) * 10) / 10 }
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}
