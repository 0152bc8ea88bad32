import { isFlag, isListOf, isNumber, isObjectOf, isText } from '../snapshot/shape.ts'
import type { AgentStatus } from '../telemetry/agent-status.ts'
import { firstOf } from '../text/counts.ts'
import { table } from './table.ts'

/** As much of an {@link AgentStatus} as its tables cannot do without. */
export const isAgentStatus = isObjectOf({
  listeners: isListOf(
    isObjectOf({
      listen: isText,
      target4: isText,
      target6: isText,
      isOpen: isFlag,
      trusted: (value) => value === null || isListOf(isText)(value),
    }),
  ),
  connections: isObjectOf({ open: isNumber, accepted: isNumber, ended: isObjectOf({}) }),
})

/** How many subnets the table names. */
const SUBNETS_MAX = 3

/** Listeners and connections as aligned tables for a terminal. */
export function formatAgentStatus({ listeners, connections }: AgentStatus): string {
  const { open, accepted, ended } = connections
  const blocks = [
    `Connections: ${open} open, ${accepted} accepted`,
    table(
      ['LISTEN', 'IPV4 TARGET', 'IPV6 TARGET', 'PORT', 'TRUSTED EDGES'],
      listeners.map((it) => [it.listen, it.target4, it.target6, it.isOpen ? 'open' : 'closed', edges(it.trusted)]),
    ),
    ...(Object.keys(ended).length === 0
      ? []
      : [
          table(
            ['END', 'CONNECTIONS'],
            Object.entries(ended).map(([end, count]) => [end, Number(count)]),
          ),
        ]),
  ]
  return `${blocks.join('\n\n')}\n`
}

function edges(trusted: readonly string[] | null): string {
  if (trusted === null) return 'everyone'
  if (trusted.length === 0) return 'nobody'
  return firstOf(trusted, SUBNETS_MAX)
}
