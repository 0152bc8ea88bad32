import { type Endpoint, formatEndpoint } from '../../address/endpoint.ts'
import { type PortSharer, portSharers } from '../../linux/port-sharers.ts'
import type { Log } from '../../telemetry/log.ts'

/** Whoever shares one port of a configuration shares the others, and each costs a look at all listeners of the host. */
const PORTS_MAX = 50

/** Says which other processes listen on ports that have been opened: the kernel divides clients between them. */
export function warnOfSharedPorts(endpoints: readonly Endpoint[], log: Log): void {
  for (const { endpoint, pid, program } of sharersOf(endpoints.slice(0, PORTS_MAX))) {
    log('warn', 'Another process listens on the same port: clients are divided between the two', {
      listen: formatEndpoint(endpoint),
      pid,
      program,
      remedy: 'stop the other one; in an upgrade, SIGTERM lets it serve the clients that it has and then end',
    })
  }
}

/** Nobody, where the kernel cannot be asked: the port still serves. */
function sharersOf(endpoints: readonly Endpoint[]): readonly PortSharer[] {
  try {
    return portSharers(endpoints)
  } catch {
    return []
  }
}
