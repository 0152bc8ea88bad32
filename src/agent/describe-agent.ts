import { counted } from '../text/counts.ts'
import { type AgentListener, prepareListener } from './agent-listener.ts'
import { listenerWarnings } from './listener-warnings.ts'

/** The lines that `--check` prints about settings that are right. @throws AllowedSubnetsError as a start would */
export function describeAgent(listeners: readonly AgentListener[]): string {
  const warnings = listenerWarnings(listeners.flatMap((listener) => prepareListener(listener, [], 0)))
  return [...warnings.map((warning) => `warning: ${warning}`), `${counted(listeners.length, 'listener')}: ok`]
    .map((line) => `${line}\n`)
    .join('')
}
