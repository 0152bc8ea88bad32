import { isFlag, isListOf, isNumber, isObjectOf, isOneOf, isOptional, isText } from '../snapshot/shape.ts'
import type { AgentStatus } from '../telemetry/agent-status.ts'
import { firstOf } from '../text/counts.ts'
import { table } from './table.ts'

/** As much of an {@link AgentStatus} as its tables cannot do without. */
export const isAgentStatus = isObjectOf({
  listeners: isListOf(
    isObjectOf({
      listen: isText,
      protocol: isOptional(isOneOf('tcp', 'udp')),
      target4: isText,
      target6: isText,
      isOpen: isFlag,
      trusted: (value) => value === null || isListOf(isText)(value),
    }),
  ),
  connections: isObjectOf({ open: isNumber, accepted: isNumber, ended: isObjectOf({}) }),
  flows: isOptional(isObjectOf({ open: isNumber, opened: isNumber, ended: isObjectOf({}), dropped: isObjectOf({}) })),
})

/** How many subnets the table names. */
const SUBNETS_MAX = 3

/** Listeners, connections and flows as aligned tables for a terminal. */
export function formatAgentStatus({ listeners, connections, flows }: AgentStatus): string {
  const hasTcp = listeners.some(({ protocol }) => protocol !== 'udp')
  const shownFlows = listeners.some(({ protocol }) => protocol === 'udp') ? flows : undefined
  const totals = [
    ...(hasTcp ? [`Connections: ${connections.open} open, ${connections.accepted} accepted`] : []),
    ...(shownFlows === undefined ? [] : [`Flows: ${shownFlows.open} open, ${shownFlows.opened} opened`]),
  ]
  const blocks = [
    totals.join('\n'),
    table(
      ['LISTEN', 'PROTOCOL', 'IPV4 TARGET', 'IPV6 TARGET', 'PORT', 'TRUSTED EDGES'],
      listeners.map((it) => [
        it.listen,
        it.protocol ?? 'tcp',
        it.target4,
        it.target6,
        it.isOpen ? 'open' : 'closed',
        edges(it.trusted),
      ]),
    ),
    ...counts(['END', 'CONNECTIONS'], connections.ended),
    ...counts(['END', 'FLOWS'], shownFlows?.ended),
    ...counts(['DROPPED', 'DATAGRAMS'], shownFlows?.dropped),
  ]
  return `${blocks.join('\n\n')}\n`
}

/** A table of them; none where there are none. */
function counts(columns: readonly [string, string], byReason: Readonly<Record<string, number>> = {}): string[] {
  const rows = Object.entries(byReason).map(([reason, count]) => [reason, Number(count)])
  return rows.length === 0 ? [] : [table([...columns], rows)]
}

function edges(trusted: readonly string[] | null): string {
  if (trusted === null) return 'everyone'
  if (trusted.length === 0) return 'nobody'
  return firstOf(trusted, SUBNETS_MAX)
}
