import type { Report } from './json-schema.ts'
import { integer, object, optional, text } from './schema.ts'

const COUNT_MAX = 2 ** 31 - 1
/** Of google.protobuf.Duration, in seconds: about 10,000 years. */
const DURATION_SEC_MAX = 315_576_000_000
/** How long the first ejection of a backend may be. */
export const BASE_EJECTION_MS_MAX = DURATION_SEC_MAX * 1_000
/** A timer counts milliseconds in 31 bits. */
const INTERVAL_MS_MAX = 2 ** 31 - 1
const NANOS_MAX = 999_999_999

/** A length of time as Google's APIs have it. */
export type Duration = { readonly seconds?: string; readonly nanos?: number }

/** A length of time in whole milliseconds. */
export function durationMs({ seconds = '0', nanos = 0 }: Duration): number {
  return Number(seconds) * 1_000 + Math.floor(nanos / 1_000_000)
}

function duration(description: string, check: (ms: number, report: Report) => void) {
  const fields = {
    seconds: optional(text('Whole seconds.', { format: 'int64', examples: ['30'] })),
    nanos: optional(integer('Nanoseconds beyond them; less than a millisecond is left out.', 0, NANOS_MAX)),
  }
  return optional(
    object(description, fields, {
      rules: (rule) => [
        rule(['seconds', 'nanos'], (given, report) => {
          check(durationMs(given), (_, problem, remedy) => {
            const [field = ''] = (['seconds', 'nanos'] as const).filter((name) => given[name] !== undefined)
            report(field, problem, remedy)
          })
        }),
      ],
    }),
  )
}

function percent(description: string) {
  return optional(integer(description, 0, 100))
}

function count(description: string) {
  return optional(integer(description, 1, COUNT_MAX))
}

/** The field `outlierDetection` of a backend service: nothing is filled in, since what is left out is not shown. */
export const outlierDetection = optional(
  object(
    'Backends get no new connections for a while after some have failed; without it, only health checks count. Each edge decides by itself.',
    {
      interval: duration(
        'Time from one look at the results to the next, which are never less than 100 ms apart; 1 s unless given.',
        (ms, report) => {
          if (ms >= 1 && ms <= INTERVAL_MS_MAX) return
          report('', `${ms} ms is not between 1 ms and ${INTERVAL_MS_MAX} ms`, 'give a time such as {seconds: 1}')
        },
      ),
      baseEjectionTime: duration(
        'How long a backend is ejected, times the number of its ejections; 30 s unless given.',
        (ms, report) => {
          if (ms <= BASE_EJECTION_MS_MAX) return
          report('', `it is longer than ${DURATION_SEC_MAX} s`, 'give a time such as {seconds: 30}')
        },
      ),
      maxEjectionPercent: percent(
        'Maximum part of the healthy backends that is ejected at a time, in percent; 50 unless given.',
      ),
      consecutiveErrors: count(
        'Number of failures in a row that eject a backend: failures to connect, or connections that it breaks before it has said a byte; 5 unless given.',
      ),
      enforcingConsecutiveErrors: percent(
        'In how many of 100 such cases the backend is ejected; 0, which is never, unless given.',
      ),
      consecutiveGatewayFailure: count('Number of failures to connect in a row that eject a backend; 3 unless given.'),
      enforcingConsecutiveGatewayFailure: percent(
        'In how many of 100 such cases the backend is ejected; 100 unless given.',
      ),
      successRateMinimumHosts: count(
        'Number of backends with enough connections in an interval, below which their success rates are not compared; 5 unless given.',
      ),
      successRateRequestVolume: count('Connections in an interval that are enough; 100 unless given.'),
      successRateStdevFactor: optional(
        integer(
          'How far below the mean a success rate is an outlier, in thousandths of the standard deviation; 1900 unless given.',
          0,
          COUNT_MAX,
        ),
      ),
      enforcingSuccessRate: percent('In how many of 100 such cases the backend is ejected; 100 unless given.'),
    },
  ),
)
