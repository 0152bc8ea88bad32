import { type AgentListener, prepareListener } from './agent-listener.ts'
import { listenerWarnings } from './listener-warnings.ts'

/** The lines that `--check` prints about settings that are right. @throws AllowedSubnetsError as a start would */
export function describeAgent(listeners: readonly AgentListener[]): string {
  const listens = listeners.map(({ listen }) => listen)
  const warnings = listeners.flatMap((listener) =>
    listenerWarnings(listener, prepareListener(listener, []).entrance, listens),
  )
  const count = `${listeners.length} listener${listeners.length === 1 ? '' : 's'}`
  return [...warnings.map((warning) => `warning: ${warning}`), `${count}: ok`].map((line) => `${line}\n`).join('')
}
