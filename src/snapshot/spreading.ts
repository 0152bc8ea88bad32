import type { Spreading } from './snapshot.ts'

/** What holds without a service LB policy, and of one what it leaves out: Google's defaults. */
export const DEFAULT_SPREADING: Spreading = {
  policy: '',
  algorithm: 'WATERFALL_BY_REGION',
  failoverHealthThreshold: 0.7,
  drainsUnhealthy: false,
  isolation: 'NONE',
}
