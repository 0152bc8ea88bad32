import { fstatSync } from 'node:fs'
import { isatty } from 'node:tty'
import type { InheritedSocket } from '../dataplane/worker/program.ts'
import { notifySocket, passedSockets, watchdogIntervalMs } from '../host/service-manager.ts'
import { notifyServiceManager, type ServiceState } from '../linux/notify.ts'
import { localEndpoint, socketProtocol } from '../linux/socket.ts'
import type { Log } from '../telemetry/log.ts'
import type { LogForm } from '../telemetry/log-form.ts'

/** The service manager (systemd) as this process sees it; without one, nothing happens. */
export type ServiceManager = {
  readonly inherited: readonly InheritedSocket[]
  tell(state: ServiceState): void
  /** Tells the manager from now on, as often as it wants, that this process lives, as long as `isAlive`. */
  watch(isAlive: () => boolean): void
}

/**
 * Reads what the service manager has put into the environment.
 *
 * @throws Error when it cannot be understood, or when a passed descriptor is no socket of TCP or UDP
 */
export function findServiceManager(log: Log): ServiceManager {
  const intervalMs = watchdogIntervalMs(process.env, process.pid)
  const tell = (state: ServiceState): void => {
    const error = tellServiceManager(state)
    if (error !== undefined) log('warn', `The service manager cannot be notified of "${state}": ${error}`)
  }
  return {
    inherited: passedSockets(process.env, process.pid).map(({ fd }) => inheritedSocket(fd)),
    tell,
    watch(isAlive) {
      if (intervalMs === undefined) return
      // When a worker is stuck, the manager hears nothing, and restarts the service.
      setInterval(() => {
        if (isAlive()) tell('watchdog')
      }, intervalMs).unref()
    },
  }
}

/** The form that whoever reads stdout can use best: a terminal, the journal (systemd.exec(5), JOURNAL_STREAM), others. */
export function logForm(): LogForm {
  if (isatty(1)) return 'terminal'
  const { dev, ino } = fstatSync(1)
  return process.env['JOURNAL_STREAM'] === `${dev}:${ino}` ? 'journal' : 'json'
}

/** Tells the service manager, if there is one; returns undefined, or the name of the error. */
export function tellServiceManager(state: ServiceState): string | undefined {
  const path = notifySocket(process.env)
  return path === undefined ? undefined : notifyServiceManager(path, state)
}

function inheritedSocket(fd: number): InheritedSocket {
  const endpoint = localEndpoint(fd)
  const protocol = socketProtocol(fd)
  if (endpoint === undefined || protocol === undefined) {
    throw new Error(`Descriptor ${fd}, passed by the service manager, is neither a TCP nor a UDP socket`)
  }
  return { fd, endpoint, protocol }
}
