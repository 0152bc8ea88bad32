import type { Position } from '../../src/balancing/google-regions.ts'
import { checkRegionFile } from '../../src/balancing/own-regions.ts'
import { DEFAULT_SPREAD_POLICY } from '../../src/balancing/policy.ts'
import { kilometresBetween } from '../../src/balancing/region-order.ts'
import type { Chart } from './chart.ts'
import type { Result } from './result.ts'
import type { Scenario, SimulatedEdge, SimulatedEvent, SimulatedGroup } from './scenario.ts'

const DAY = 86_400
const HOUR = 3600
/** Before the day begins: a world without connections is not like any other moment. */
const WARM_UP = HOUR
const STEP = 60
const GROUPS_OF_REGION = 20
const MEMBERS = 4
const CONNECTION_SECONDS = 600
/** Of a region, on average. */
const CONNECTIONS_PER_SECOND = 0.5
/** Cities where Google has no region. */
const OWN_REGIONS = [
  { name: 'almaty-1', latitude: 43.24, longitude: 76.89 },
  { name: 'anchorage-1', latitude: 61.22, longitude: -149.9 },
  { name: 'auckland-1', latitude: -36.85, longitude: 174.76 },
  { name: 'cairo-1', latitude: 30.04, longitude: 31.24 },
  { name: 'istanbul-1', latitude: 41.01, longitude: 28.98 },
  { name: 'lagos-1', latitude: 6.52, longitude: 3.38 },
  { name: 'lima-1', latitude: -12.05, longitude: -77.04 },
]

/** By the time of the day. */
const EVENTS: readonly SimulatedEvent[] = [
  { atSeconds: 6 * HOUR, says: 'europe-west3 fails', region: 'europe-west3', workingPart: 0 },
  { atSeconds: 8 * HOUR, says: 'it works', region: 'europe-west3', workingPart: 1 },
  { atSeconds: 11 * HOUR, says: 'half of asia-northeast1 fails', region: 'asia-northeast1', workingPart: 0.5 },
  { atSeconds: 13 * HOUR, says: 'it works', region: 'asia-northeast1', workingPart: 1 },
  { atSeconds: 18 * HOUR, says: 'us-east4 is drained', region: 'us-east4', capacityScaler: 0 },
  { atSeconds: 20 * HOUR, says: 'it is back', region: 'us-east4', capacityScaler: 1 },
]

/** Fifty regions, a thousand groups, an edge in each region, and a day on Earth: some minutes of work. */
export function dayOnEarth(): Scenario {
  const file = checkRegionFile({ regions: OWN_REGIONS })
  if (file.kind !== 'regions') throw new Error('The regions of this file are wrong')
  const regions = [...file.positions]
  return {
    name: 'day',
    says: 'a day on Earth: 50 regions with an edge each, 1,000 groups, evenings that go around, three failures',
    seconds: WARM_UP + DAY,
    stepSeconds: STEP,
    reportSeconds: 60,
    detectSeconds: 60,
    policy: DEFAULT_SPREAD_POLICY,
    locality: 'ROUND_ROBIN',
    positions: file.positions,
    groups: regions.flatMap(([region], index) => groupsOf(region, index)),
    edges: regions.map(([region, position]) => edgeOf(region, position)),
    connectionSeconds: CONNECTION_SECONDS,
    events: EVENTS.map((event) => ({ ...event, atSeconds: WARM_UP + event.atSeconds })),
    chart: dayChart,
  }
}

/** Regions have room for their evening, one in five for a little less than that. */
function groupsOf(region: string, index: number): SimulatedGroup[] {
  const evening = CONNECTIONS_PER_SECOND * CONNECTION_SECONDS * (1 + SWING)
  const room = [1.3, 1.2, 0.95, 1.4, 1.25][index % 5]
  return Array.from({ length: GROUPS_OF_REGION }, (_, number) => {
    const zone = `${region}-${'abc'[number % 3]}`
    return {
      name: `${zone}/web-${number}`,
      region,
      zone,
      members: MEMBERS,
      maxConnections: Math.round((room * evening) / GROUPS_OF_REGION),
      maxUtilization: undefined,
      costOfConnection: 0,
    }
  })
}

/** How much more than on average an evening has, and how much less the early morning. */
const SWING = 0.6
/** When an evening is, by the sun. */
const EVENING = 20 * HOUR

function edgeOf(region: string, { longitude }: Position): SimulatedEdge {
  const bySun = (second: number): number => second - WARM_UP + (longitude / 360) * DAY
  const swing = (second: number): number => Math.cos(((bySun(second) - EVENING) / DAY) * 2 * Math.PI)
  return {
    name: region,
    region,
    zone: `${region}-a`,
    rate: (second) => CONNECTIONS_PER_SECOND * (1 + SWING * swing(second)),
  }
}

/** Who was not served at home: how far away, and how many nobody served. */
function dayChart(result: Result): Chart {
  const bounds = [1000, 3000, Number.POSITIVE_INFINITY]
  const labels = ['up to 1,000 km away', 'up to 3,000 km away', 'farther', 'failed']
  const away = distances(result)
  const parts = labels.map((label) => ({ label, values: new Array<number>(result.steps).fill(0) }))
  for (let step = 0; step < result.steps; step++) {
    let all = 0
    for (const edge of result.scenario.edges.keys()) {
      for (let region = 0; region <= result.regions.length; region++) {
        const served = result.served(step, edge, region)
        all += served
        const kilometres = away[edge][region]
        if (kilometres === 0) continue
        const part = kilometres === undefined ? bounds.length : bounds.findIndex((bound) => kilometres <= bound)
        parts[part].values[step] += served
      }
    }
    for (const { values } of parts) values[step] *= 100 / all
  }
  return {
    title: 'A day on Earth: connections that another region than the nearest serves',
    subtitle: '50 regions, 1,000 groups; every fifth region is a little too small for its evening',
    xLabel: 'hours (UTC)',
    yLabel: '% of new connections',
    xMax: 24,
    yMax: 6,
    isStacked: true,
    series: parts.map(({ label, values }) => ({ label, values: averaged(values.slice(WARM_UP / STEP)) })),
    marks: EVENTS.map(({ atSeconds, says }) => ({ x: atSeconds / HOUR, label: says.startsWith('it ') ? '' : says })),
  }
}

/** Of ten minutes each: a minute is narrower than a pixel. */
function averaged(values: readonly number[]): number[] {
  const count = 10
  return Array.from({ length: Math.floor(values.length / count) }, (_, index) => {
    const part = values.slice(index * count, (index + 1) * count)
    return part.reduce((sum, value) => sum + value, 0) / count
  })
}

/** By edge and region: how far it is; undefined behind the last region, which is nobody. */
export function distances({ scenario, regions }: Result): (number | undefined)[][] {
  return scenario.edges.map(({ region: own }) => {
    const from = scenario.positions.get(own)
    const far = regions.map((region) => {
      const to = scenario.positions.get(region)
      return from === undefined || to === undefined ? undefined : Math.round(kilometresBetween(from, to))
    })
    return [...far, undefined]
  })
}
