import { distances } from './day.ts'
import type { Result } from './result.ts'

/** Other regions that a line names. */
const OTHERS_MAX = 3

/** Says where the connections of each edge went, in lines of text. */
export function writeReport(result: Result): string {
  const { scenario, regions } = result
  const away = distances(result)
  const lines = scenario.edges.map(({ name, region: own }, edge) => {
    const byRegion = regions.map((region, index) => ({
      region,
      kilometres: away[edge][index] ?? 0,
      count: result.sum((step) => result.served(step, edge, index)),
    }))
    const failed = result.sum((step) => result.failed(step, edge))
    const served = byRegion.reduce((sum, { count }) => sum + count, 0)
    const percent = (count: number): string => `${((100 * count) / (served + failed)).toFixed(1)} %`
    const others = byRegion
      .filter(({ region, count }) => region !== own && 100 * count >= 0.05 * (served + failed))
      .sort((a, b) => b.count - a.count)
    const kilometres = byRegion.reduce((sum, one) => sum + one.count * one.kilometres, 0) / served
    return [
      name,
      `${served + failed}`,
      percent(byRegion.find(({ region }) => region === own)?.count ?? 0),
      percent(failed),
      kilometres.toFixed(0),
      others
        .slice(0, OTHERS_MAX)
        .map(({ region, count }) => `${region} ${percent(count)}`)
        .join(', '),
    ]
  })
  return `${scenario.name}: ${scenario.says}\n\n${table([HEAD, ...lines])}\n\n${totalOf(result)}\n`
}

/** All edges together. */
function totalOf(result: Result): string {
  const { scenario, regions } = result
  const places = scenario.edges.flatMap(({ region: own }, edge) =>
    regions.map((region, index) => ({
      isOwn: region === own,
      count: result.sum((step) => result.served(step, edge, index)),
    })),
  )
  const sumOf = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0)
  const served = sumOf(places.map(({ count }) => count))
  const own = sumOf(places.filter(({ isOwn }) => isOwn).map(({ count }) => count))
  const failed = sumOf(scenario.edges.map((_, edge) => result.sum((step) => result.failed(step, edge))))
  const all = served + failed
  const percent = (count: number): string => `${((100 * count) / all).toFixed(2)} %`
  return `all edges: ${all} connections, ${percent(own)} in the own region, ${percent(failed)} failed`
}

const HEAD = ['edge', 'connections', 'own region', 'failed', 'km on average', 'other regions, the most first']

/** Columns as wide as they have to be; numbers at the right. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => {
          const isText = column === 0 || column === row.length - 1
          return isText ? cell.padEnd(widths[column]) : cell.padStart(widths[column])
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
