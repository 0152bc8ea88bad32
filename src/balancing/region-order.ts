import { compareTexts } from '../text/compare-texts.ts'
import type { Position } from './google-regions.ts'
import type { RankedRegion } from './view.ts'

/** The mean radius of the Earth. */
const EARTH_KILOMETRES = 6371

/**
 * Puts regions in order as seen from one of them: by great circle, those of the same distance by name.
 *
 * The own region comes first, also one without a position. Regions whose distance nobody can tell come last, all of them
 * equally far. Without an own region all are equally near.
 */
export function orderRegions(
  regions: Iterable<string>,
  own: string | undefined,
  positions: ReadonlyMap<string, Position>,
): RankedRegion[] {
  const from = own === undefined ? undefined : positions.get(own)
  const known: { readonly region: string; readonly kilometres: number }[] = []
  const unknown: string[] = []
  for (const region of new Set(regions)) {
    const to = positions.get(region)
    if (region === own) known.push({ region, kilometres: 0 })
    else if (from === undefined || to === undefined) unknown.push(region)
    else known.push({ region, kilometres: Math.round(kilometresBetween(from, to)) })
  }
  known.sort((a, b) => Number(b.region === own) - Number(a.region === own) || compareByDistance(a, b))
  return [
    ...known.map((entry, rank) => ({ ...entry, rank })),
    ...unknown.sort(compareTexts).map((region) => ({ region, kilometres: undefined, rank: known.length })),
  ]
}

/** The length of the great circle between two points, by the haversine formula, which is exact also for near ones. */
export function kilometresBetween(a: Position, b: Position): number {
  const radians = Math.PI / 180
  const halfLatitude = Math.sin(((b.latitude - a.latitude) * radians) / 2)
  const halfLongitude = Math.sin(((b.longitude - a.longitude) * radians) / 2)
  const around = Math.cos(a.latitude * radians) * Math.cos(b.latitude * radians)
  const haversine = halfLatitude ** 2 + around * halfLongitude ** 2
  return 2 * EARTH_KILOMETRES * Math.asin(Math.min(1, Math.sqrt(haversine)))
}

type Distance = { readonly region: string; readonly kilometres: number }

function compareByDistance(a: Distance, b: Distance): number {
  return a.kilometres - b.kilometres || compareTexts(a.region, b.region)
}
