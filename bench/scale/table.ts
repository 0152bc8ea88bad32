import { median } from '../statistics.ts'
import { FIGURES, type Figure, type Sample } from './figures.ts'

/**
 * The table for a terminal: the median of each figure for each checkout, and of two of them the ratio, the second by
 * the first. A figure with a title but without samples is left out.
 */
export function scaleTable(checkouts: readonly string[], samples: readonly Sample[]): string {
  const isPair = checkouts.length === 2
  const head = ['', 'unit', ...checkouts, ...(isPair ? ['ratio'] : [])]
  const figures = (Object.keys(FIGURES) as Figure[]).filter((figure) => samples.some((one) => one.figure === figure))
  const rows = figures.map((figure) => {
    const { title, unit, digits } = FIGURES[figure]
    const medians = checkouts.map((checkout) => medianOf(samples, figure, checkout))
    const cells = medians.map((value) => value?.toFixed(digits) ?? '')
    return [title, unit, ...cells, ...(isPair ? [ratioOf(medians)] : [])]
  })
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)))
  return [head, ...rows]
    .map((row) => row.map((cell, at) => (at < 2 ? cell.padEnd(widths[at]) : cell.padStart(widths[at]))).join('  '))
    .join('\n')
}

function medianOf(samples: readonly Sample[], figure: Figure, checkout: string): number | undefined {
  const values = samples.filter((one) => one.figure === figure && one.checkout === checkout).map(({ value }) => value)
  return values.length === 0 ? undefined : median(values)
}

function ratioOf([first, second]: readonly (number | undefined)[]): string {
  if (first === undefined || second === undefined || first <= 0) return ''
  return (second / first).toFixed(3)
}
