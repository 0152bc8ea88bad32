import { isNumber, isObjectOf, isText } from '../snapshot/shape.ts'
import type { ListenAddress } from '../telemetry/listen.ts'
import { withoutControls } from '../text/plain-text.ts'
import { readAdminAnswer } from './admin-answer.ts'
import { parseFlags, takeWord, UsageError } from './flags.ts'
import { statusFlags } from './status.ts'

/** The flags of `truepeer drain` and `truepeer enable`. */
export const steerFlags = {
  admin: { ...statusFlags.admin, help: 'The address of the admin server of the edge, as given to its --admin' },
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

/** What the edge says of the backend now. */
type Steered = { readonly backend: string; readonly availability: string; readonly open: number }

const isSteered = isObjectOf({ backend: isText, availability: isText, open: isNumber })

/** The answer of the edge as a line. @throws Error when it is not the answer of an edge */
export function formatSteered(body: string): string {
  const { backend, availability, open } = readAdminAnswer<Steered>(body, isSteered)
  const state = availability === 'draining' ? 'gets no new connections' : `is ${availability}`
  return `${withoutControls(`${backend} ${state}; open connections: ${open}`)}\n`
}
