/** A line or an area of a chart, with a value for each step. */
export type Series = { readonly label: string; readonly values: readonly number[] }

/** Values over time, or over what else the steps stand for. */
export type Chart = {
  readonly title: string
  readonly subtitle: string
  readonly xLabel: string
  readonly yLabel: string
  /** What the last step stands for; the first one stands for 0. */
  readonly xMax: number
  readonly yMax: number
  readonly series: readonly Series[]
  /** Whether values lie on top of those of the series before, as areas. */
  readonly isStacked: boolean
  /** Vertical lines: where something happens. */
  readonly marks: readonly { readonly x: number; readonly label: string }[]
}

const WIDTH = 820
const HEIGHT = 360
const LEFT = 56
const RIGHT = 20
const TOP = 92
const BOTTOM = 44
const TICKS = 6
// Okabe and Ito's palette: distinct for colour-blind readers as well.
const COLORS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#d55e00', '#56b4e9']

/** Draws a chart as an SVG document, the same for the same values. */
export function drawChart(chart: Chart): string {
  const { title, subtitle, xLabel, yLabel, series, isStacked, marks } = chart
  const scale = { x: (value: number) => across(value / chart.xMax), y: (value: number) => down(value / chart.yMax) }
  const middle = (LEFT + WIDTH - RIGHT) / 2
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" fill="#222">
<title>${escapeXml(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="12" y="24" font-size="16" font-weight="bold">${escapeXml(title)}</text>
<text x="12" y="42">${escapeXml(subtitle)}</text>
${legend(series).join('\n')}
${axes(chart).join('\n')}
${(isStacked ? areas(chart, scale) : lines(chart, scale)).join('\n')}
${marks.flatMap(({ x, label }) => mark(scale.x(x), label)).join('\n')}
<text x="${middle}" y="${HEIGHT - 8}" text-anchor="middle">${escapeXml(xLabel)}</text>
<text x="12" y="${TOP - 10}">${escapeXml(yLabel)}</text>
</svg>
`
}

type Scale = { x(value: number): number; y(value: number): number }

function across(part: number): number {
  return rounded(LEFT + part * (WIDTH - RIGHT - LEFT))
}

/** What lies above the top is drawn at the top. */
function down(part: number): number {
  return rounded(HEIGHT - BOTTOM - Math.min(1, part) * (HEIGHT - BOTTOM - TOP))
}

function legend(series: readonly Series[]): string[] {
  let x = 12
  return series.flatMap(({ label }, index) => {
    const at = x
    x += 30 + 7 * label.length
    const square = `<rect x="${at}" y="54" width="12" height="12" fill="${COLORS[index]}"/>`
    return [square, `<text x="${at + 17}" y="64">${escapeXml(label)}</text>`]
  })
}

function axes({ xMax, yMax }: Chart): string[] {
  return Array.from({ length: TICKS + 1 }, (_, tick) => tick / TICKS).flatMap((part) => {
    const [x, y] = [across(part), down(part)]
    return [
      `<line x1="${LEFT}" y1="${y}" x2="${WIDTH - RIGHT}" y2="${y}" stroke="#ddd"/>`,
      `<text x="${LEFT - 6}" y="${y + 4}" text-anchor="end">${rounded(part * yMax)}</text>`,
      `<text x="${x}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${rounded(part * xMax)}</text>`,
    ]
  })
}

function lines({ series, xMax }: Chart, scale: Scale): string[] {
  return series.map(({ values }, index) => {
    const points = values.map((value, step) => `${scale.x((step / (values.length - 1)) * xMax)},${scale.y(value)}`)
    return `<polyline points="${points.join(' ')}" fill="none" stroke="${COLORS[index]}" stroke-width="2"/>`
  })
}

function areas({ series, xMax }: Chart, scale: Scale): string[] {
  let below = series[0].values.map(() => 0)
  return series.map(({ values }, index) => {
    const floor = below
    below = values.map((value, step) => floor[step] + value)
    const point = (value: number, step: number): string =>
      `${scale.x((step / (values.length - 1)) * xMax)},${scale.y(value)}`
    const points = [...below.map(point), ...floor.map(point).reverse()]
    return `<polygon points="${points.join(' ')}" fill="${COLORS[index]}"/>`
  })
}

function mark(x: number, label: string): string[] {
  return [
    `<line x1="${x}" y1="${TOP}" x2="${x}" y2="${HEIGHT - BOTTOM}" stroke="#333" stroke-dasharray="4 3"/>`,
    `<text x="${x + 4}" y="${TOP + 12}">${escapeXml(label)}</text>`,
  ]
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}
