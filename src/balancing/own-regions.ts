import { GOOGLE_REGIONS, type Position } from './google-regions.ts'

/** What a file of regions says: the positions of all regions, Google's and an operator's own, or what is wrong with it. */
export type RegionFile =
  | { readonly kind: 'regions'; readonly positions: ReadonlyMap<string, Position> }
  | { readonly kind: 'problems'; readonly problems: readonly RegionProblem[] }

/** `path` as in `regions[2].latitude`; rule and remedy as everywhere, in one sentence each without a full stop. */
export type RegionProblem = { readonly path: string; readonly rule: string; readonly remedy: string }

/** As in the names of Google's resources. */
const NAME = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/
const REGIONS_MAX = 1_000
const FIELDS = ['name', 'latitude', 'longitude']
const DEGREES_MAX = { latitude: 90, longitude: 180 }

type Problems = RegionProblem[]

/**
 * Checks the value of a file of own regions, `{ regions: [{ name, latitude, longitude }] }`, and adds them to Google's.
 *
 * A region with a name of Google's moves it. Never throws, whatever the value is.
 */
export function checkRegionFile(value: unknown): RegionFile {
  const problems: Problems = []
  const positions = new Map(GOOGLE_REGIONS)
  const seen = new Set<string>()
  for (const [index, entry] of listOf(value, problems).entries()) {
    const path = `regions[${index}]`
    const before = problems.length
    const region = checkRegion(entry, path, problems)
    if (problems.length > before || region === undefined) continue
    if (seen.has(region.name)) {
      problems.push({ path, rule: `there are two regions "${region.name}"`, remedy: 'remove one of them' })
    }
    seen.add(region.name)
    positions.set(region.name, { latitude: region.latitude, longitude: region.longitude })
  }
  return problems.length > 0 ? { kind: 'problems', problems } : { kind: 'regions', positions }
}

function listOf(value: unknown, problems: Problems): readonly unknown[] {
  const remedy = 'write a list under "regions", with name, latitude and longitude of each'
  const fields = isMapping(value) ? value : {}
  const { regions } = fields
  const unknown = Object.keys(fields).find((name) => name !== 'regions')
  if (unknown !== undefined) {
    problems.push({ path: shown(unknown), rule: 'there is no field of this name', remedy: 'remove it' })
  }
  if (!Array.isArray(regions)) {
    problems.push({ path: 'regions', rule: 'there is no list of regions', remedy })
    return []
  }
  if (regions.length <= REGIONS_MAX) return Array.from(regions)
  const rule = `there are ${regions.length} regions, more than ${REGIONS_MAX}`
  problems.push({ path: 'regions', rule, remedy: `keep ${REGIONS_MAX} of them` })
  return []
}

function checkRegion(
  entry: unknown,
  path: string,
  problems: Problems,
): ({ readonly name: string } & Position) | undefined {
  if (!isMapping(entry)) {
    problems.push({ path, rule: 'it is not a mapping', remedy: 'give name, latitude and longitude' })
    return undefined
  }
  for (const field of Object.keys(entry)) {
    if (FIELDS.includes(field)) continue
    const remedy = `remove it; a region has ${FIELDS.join(', ')}`
    problems.push({ path: `${path}.${shown(field)}`, rule: 'there is no field of this name', remedy })
  }
  const { name } = entry
  if (typeof name !== 'string' || !NAME.test(name)) {
    const remedy = 'write up to 63 small letters, digits and hyphens, such as "cellar-1"'
    problems.push({ path: `${path}.name`, rule: `${shown(name)} is not a name`, remedy })
  }
  const latitude = checkDegrees(entry, 'latitude', path, problems)
  const longitude = checkDegrees(entry, 'longitude', path, problems)
  return { name: String(name), latitude, longitude }
}

function checkDegrees(
  entry: Readonly<Record<string, unknown>>,
  field: 'latitude' | 'longitude',
  path: string,
  problems: Problems,
): number {
  const value = entry[field]
  const max = DEGREES_MAX[field]
  if (typeof value === 'number' && Math.abs(value) <= max) return value
  const side = field === 'latitude' ? 'north' : 'east'
  const rule = value === undefined ? 'it is missing' : `${shown(value)} is not between -${max} and ${max}`
  problems.push({
    path: `${path}.${field}`,
    rule,
    remedy: `give degrees, ${side} is positive, such as ${field === 'latitude' ? 52.52 : 13.4}`,
  })
  return 0
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What was given, in a few characters; what is nested is not repeated. */
function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80))
  return typeof value === 'object' || typeof value === 'function' ? 'what is given' : String(value)
}
