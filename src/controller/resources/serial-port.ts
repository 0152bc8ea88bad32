import type { Mapping } from '../../compute/json-value.ts'
import type { Call } from '../methods/call.ts'
import { invalidField } from '../model/api-error.ts'
import { pathOf, urlOf } from '../model/resource-paths.ts'
import type { StoredResource } from '../store/store.ts'

const PORTS_MAX = 4

/**
 * Answers `instances.getSerialPortOutput`. Everything that a machine says is on its first port; of existing hosts nobody
 * here can read one.
 */
export function serialPortOutput({ world, request }: Call, instance: StoredResource): Mapping {
  const port = numberOf(request.query, 'port', 1)
  if (port < 1 || port > PORTS_MAX) throw invalidField('port', String(port), `Give one from 1 to ${PORTS_MAX}`)
  const from = numberOf(request.query, 'start', 0)
  const output = port === 1 ? world.machines?.serialOutput(pathOf(instance), from) : undefined
  const { contents, start, next } = output ?? { contents: '', start: from, next: from }
  return {
    kind: 'compute#serialPortOutput',
    contents,
    start: String(start),
    next: String(next),
    selfLink: urlOf(request.baseUrl, `${pathOf(instance)}/serialPort`),
  }
}

function numberOf(query: URLSearchParams, name: string, fallback: number): number {
  const text = query.get(name) ?? ''
  if (text === '') return fallback
  if (/^[0-9]{1,15}$/.test(text)) return Number(text)
  throw invalidField(name, text, 'Give a whole number')
}
