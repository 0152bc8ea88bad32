import { type PortSharer, portSharers } from '../../linux/port-sharers.ts'
import type { Log } from '../../telemetry/log.ts'
import { formatServedPort, type ServedPort } from './program.ts'

/** Whoever shares one port of a configuration shares the others, and each costs a look at all listeners of the host. */
const PORTS_MAX = 50

/** Says which other processes listen on ports that have been opened: the kernel divides clients between them. */
export function warnOfSharedPorts(ports: readonly ServedPort[], log: Log): void {
  for (const { pid, program, ...port } of sharersOf(ports.slice(0, PORTS_MAX))) {
    log('warn', 'Another process listens on the same port: clients are divided between the two', {
      listen: formatServedPort(port),
      pid,
      program,
      remedy: 'stop the other one; in an upgrade, SIGTERM lets it serve the clients that it has and then end',
    })
  }
}

/** Nobody, where the kernel cannot be asked: the port still serves. */
function sharersOf(ports: readonly ServedPort[]): readonly PortSharer[] {
  try {
    return portSharers(ports)
  } catch {
    return []
  }
}
