import type { ListenAddress } from '../telemetry/listen.ts'
import { withoutControls } from '../text/plain-text.ts'
import { parseAdmin } from './data-plane-flags.ts'
import { parseFlags, takeWord, UsageError, valueFlag } from './flags.ts'

/** The flags of `truepeer drain` and `truepeer enable`. */
export const steerFlags = {
  admin: valueFlag(
    'admin',
    'HOST:PORT|unix:PATH',
    'The address of the admin server of the edge, as given to its --admin',
    parseAdmin,
    '127.0.0.1:9112',
  ),
} as const

/** What the command line of `truepeer drain` or `truepeer enable` says. */
export type SteerCommand = { readonly admin: ListenAddress; readonly backend: string }

/** Reads the arguments behind `truepeer drain` or `truepeer enable`. @throws UsageError */
export function parseSteer(action: 'drain' | 'enable', argv: readonly string[]): SteerCommand {
  const { word: backend, rest } = takeWord(argv, steerFlags)
  if (backend === undefined || backend === '') {
    throw new UsageError(`${action} needs a backend, such as 10.128.0.2:110; "truepeer status" lists them`)
  }
  return { backend, admin: parseFlags(rest, steerFlags).admin[0] }
}

/** The answer of the edge as a line. */
export function formatSteered(body: string): string {
  const { backend, availability, open } = JSON.parse(body) as Readonly<Record<string, string | number>>
  const state = String(availability) === 'draining' ? 'gets no new connections' : `is ${availability}`
  return `${withoutControls(`${backend} ${state}; open connections: ${open}`)}\n`
}
