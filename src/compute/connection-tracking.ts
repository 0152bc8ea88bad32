import type { Report } from './json-schema.ts'
import { integer, object, oneOf, optional, unsupported } from './schema.ts'

/** Google's of its external load balancers for UDP, where it cannot be changed. */
export const FLOW_IDLE_SEC = 60
/** Google's of its internal ones: 16 hours. */
const IDLE_SEC_MAX = 57_600

/** The field `connectionTrackingPolicy` of a backend service: nothing is filled in, since what is left out is not shown. */
export const connectionTrackingPolicy = optional(
  object(
    'With UDP: what one client sends to one frontend is a flow, and goes to one backend. A flow is what a connection is for TCP wherever connections are counted or limited.',
    {
      trackingMode: optional(
        oneOf(
          'What belongs to one flow: what has the same addresses and ports; or with `PER_SESSION` what `sessionAffinity` sends to one backend, so only where that looks at ports, too. `PER_CONNECTION` unless given.',
          ['PER_CONNECTION', 'PER_SESSION'],
        ),
      ),
      connectionPersistenceOnUnhealthyBackends: optional(
        oneOf(
          'Whether flows stay with a backend that has become unhealthy. With `NEVER_PERSIST` the next datagram of each goes to another backend, if there is a healthy one; `DEFAULT_FOR_PROTOCOL`, which holds unless given, is the same for UDP.',
          ['DEFAULT_FOR_PROTOCOL', 'NEVER_PERSIST', 'ALWAYS_PERSIST'],
        ),
      ),
      idleTimeoutSec: optional(
        integer(
          `Seconds of silence in both directions after which a flow ends; ${FLOW_IDLE_SEC} unless given. Extension of this project for external load balancers, for which Google has ${FLOW_IDLE_SEC} only.`,
          1,
          IDLE_SEC_MAX,
          { examples: [FLOW_IDLE_SEC] },
        ),
      ),
      enableStrongAffinity: unsupported('Affinity that Google does not offer publicly.'),
    },
  ),
)

type TrackingFields = {
  readonly protocol: string
  readonly sessionAffinity: string
  readonly connectionTrackingPolicy?: {
    readonly trackingMode?: string
    readonly connectionPersistenceOnUnhealthyBackends?: string
    readonly idleTimeoutSec?: number
  }
}

/** Says what of the policy does not fit the rest of its service. */
export function checkTracking(fields: TrackingFields, report: Report): void {
  const { protocol, sessionAffinity: affinity, connectionTrackingPolicy: policy = {} } = fields
  const { trackingMode, connectionPersistenceOnUnhealthyBackends: persistence, idleTimeoutSec } = policy
  const path = (field: string): string => `connectionTrackingPolicy.${field}`
  if (protocol !== 'UDP') {
    const changes = {
      trackingMode: trackingMode === 'PER_SESSION',
      connectionPersistenceOnUnhealthyBackends: (persistence ?? 'DEFAULT_FOR_PROTOCOL') !== 'DEFAULT_FOR_PROTOCOL',
      idleTimeoutSec: idleTimeoutSec !== undefined,
    }
    for (const [field, isGiven] of Object.entries(changes)) {
      if (!isGiven) continue
      const remedy = field === 'idleTimeoutSec' ? 'remove it and give timeoutSec' : 'remove it'
      report(path(field), `it cannot be used with the protocol ${protocol}`, remedy, 'conflict')
    }
    return
  }
  if (trackingMode !== 'PER_SESSION') return
  if (persistence === 'ALWAYS_PERSIST') {
    const problem = 'ALWAYS_PERSIST cannot be used with the trackingMode PER_SESSION'
    report(path('connectionPersistenceOnUnhealthyBackends'), problem, 'give one of the others', 'conflict')
  }
  if (affinity === 'NONE' || affinity === 'CLIENT_IP_PORT_PROTO') return
  const problem = `PER_SESSION is not supported with the sessionAffinity ${affinity}`
  report(path('trackingMode'), problem, 'give PER_CONNECTION', 'unsupported')
}
