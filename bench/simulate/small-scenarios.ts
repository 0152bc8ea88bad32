import { GOOGLE_REGIONS } from '../../src/balancing/google-regions.ts'
import { DEFAULT_SPREAD_POLICY } from '../../src/balancing/policy.ts'
import type { Chart } from './chart.ts'
import type { Result } from './result.ts'
import type { Scenario, SimulatedEdge, SimulatedGroup } from './scenario.ts'

const [NEAR, NEXT, FAR] = ['us-central1', 'europe-west1', 'asia-east1']

/** What most of the small scenarios have: second by second, probes every 5 s, two failures in a row, reports every 5 s. */
const USUAL = {
  stepSeconds: 1,
  reportSeconds: 5,
  detectSeconds: 10,
  connectionSeconds: 20,
  policy: DEFAULT_SPREAD_POLICY,
  locality: 'ROUND_ROBIN',
  positions: GOOGLE_REGIONS,
} as const

function groupIn(region: string, given: Partial<SimulatedGroup> = {}): SimulatedGroup {
  return {
    name: `${region}-a/web`,
    region,
    zone: `${region}-a`,
    members: 4,
    maxConnections: undefined,
    maxUtilization: undefined,
    costOfConnection: 0.01,
    ...given,
  }
}

function edgeIn(region: string, rate: (second: number) => number, name = region): SimulatedEdge {
  return { name, region, zone: `${region}-a`, rate }
}

const regionFails: Scenario = {
  ...USUAL,
  name: 'region-fails',
  says: 'every backend of the nearest region fails for 90 seconds; an edge in us-central1, backends in three regions',
  seconds: 240,
  groups: [groupIn(NEAR), groupIn(NEXT), groupIn(FAR)],
  edges: [edgeIn(NEAR, () => 30)],
  events: [
    { atSeconds: 60, says: 'all fail', region: NEAR, workingPart: 0 },
    { atSeconds: 150, says: 'all work', region: NEAR, workingPart: 1 },
  ],
  chart: (result) => ({
    ...servedChart(result, 'The nearest region fails, and comes back'),
    subtitle: 'health check: every 5 s, two in a row; until then connections that begin there fail',
    yMax: 36,
    marks: marksOf(result),
  }),
}

const regionIsFull: Scenario = {
  ...USUAL,
  name: 'region-is-full',
  says: 'more load than the nearest region has processors for: maxUtilization 0.8 there, and what is too much leaves',
  seconds: 600,
  groups: [groupIn(NEAR, { maxUtilization: 0.8 }), groupIn(NEXT)],
  // 80 connections to each of four members are 80 %, and 16 of 320 end in a second.
  edges: [edgeIn(NEAR, (second) => (second >= 120 && second < 420 ? 24 : 12))],
  events: [],
  chart: (result) => ({
    title: 'More load than the nearest region has processors for',
    subtitle:
      'maxUtilization 0.8; 12 connections per second, from 120 s to 420 s 24; averages reach the edge every 5 s',
    xLabel: 'seconds',
    yLabel: '%',
    xMax: result.scenario.seconds,
    yMax: 120,
    isStacked: false,
    series: [
      { label: `processors in use, ${NEAR}`, values: result.series((step) => 100 * result.utilization(step, 0)) },
      { label: `processors in use, ${NEXT}`, values: result.series((step) => 100 * result.utilization(step, 1)) },
      { label: `connections that go to ${NEXT}`, values: smoothed(percentServed(result, 1), 10) },
    ],
    marks: [
      { x: 120, label: 'twice the load' },
      { x: 420, label: 'as before' },
    ],
  }),
}

const sharedTarget: Scenario = {
  ...USUAL,
  name: 'shared-target',
  says: 'two edges, one with ten times the clients of the other, share a target of 200 connections',
  seconds: 240,
  groups: [groupIn(NEAR, { maxConnections: 200 }), groupIn(NEXT, { maxConnections: 2000 })],
  edges: [edgeIn(NEAR, () => 20, 'busy'), edgeIn(NEAR, (second) => (second < 120 ? 2 : 10), 'quiet')],
  events: [],
  chart: (result) => ({
    title: 'Two edges share a target of 200 connections',
    subtitle: 'each takes its part of the room that is left, so that together they keep within maxConnections',
    xLabel: 'seconds',
    yLabel: `connections to ${NEAR}`,
    xMax: result.scenario.seconds,
    yMax: 240,
    isStacked: true,
    series: [
      { label: 'the edge with 20 new ones per second', values: openOf(result, 0) },
      { label: 'the edge with 2, later 10', values: openOf(result, 1) },
    ],
    marks: [{ x: 120, label: 'more clients' }],
  }),
}

const backendsFail: Scenario = {
  ...USUAL,
  name: 'backends-fail',
  says: 'one of a hundred backends of the nearest region after the other fails, down to none (failover threshold 70 %)',
  seconds: 101,
  detectSeconds: 0,
  groups: [groupIn(NEAR, { members: 100 }), groupIn(NEXT, { members: 100 })],
  edges: [edgeIn(NEAR, () => 100)],
  events: Array.from({ length: 101 }, (_, second) => ({
    atSeconds: second,
    says: `${second} have failed`,
    region: NEAR,
    workingPart: (100 - second) / 100,
  })),
  chart: (result) => ({
    title: 'How connections leave a region whose backends fail',
    subtitle: 'failover threshold 70 %: down to there the healthy ones take everything, then what is missing leaves',
    xLabel: 'unhealthy backends of the nearest region, %',
    yLabel: '% of new connections',
    xMax: 100,
    yMax: 120,
    isStacked: true,
    series: [
      { label: NEAR, values: percentServed(result, 0) },
      { label: NEXT, values: percentServed(result, 1) },
    ],
    marks: [{ x: 30, label: 'the threshold' }],
  }),
}

/** Those that take less than a second. */
export const SMALL_SCENARIOS: readonly Scenario[] = [regionFails, backendsFail, regionIsFull, sharedTarget]

function servedChart(result: Result, title: string): Omit<Chart, 'subtitle' | 'yMax' | 'marks'> {
  const names = [...result.regions, 'failed']
  return {
    title,
    xLabel: 'seconds',
    yLabel: 'new connections per second',
    xMax: result.scenario.seconds,
    isStacked: true,
    series: names.map((label, region) => ({ label, values: result.series((step) => result.served(step, 0, region)) })),
  }
}

function marksOf({ scenario }: Result): Chart['marks'] {
  return scenario.events.map(({ atSeconds, says }) => ({ x: atSeconds, label: says }))
}

function percentServed(result: Result, region: number): number[] {
  const names = [...result.regions, 'failed']
  return result.series((step) => {
    const all = names.reduce((sum, _, index) => sum + result.served(step, 0, index), 0)
    return (100 * result.served(step, 0, region)) / all
  })
}

function openOf(result: Result, edge: number): number[] {
  return result.series((step) => result.openOfEdge(step, edge, 0))
}

/** Each value as the average of the last few. */
function smoothed(values: readonly number[], count: number): number[] {
  return values.map((_, index) => {
    const last = values.slice(Math.max(0, index - count + 1), index + 1)
    return last.reduce((sum, value) => sum + value, 0) / last.length
  })
}
