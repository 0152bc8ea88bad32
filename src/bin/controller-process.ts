import { readFileSync, statSync } from 'node:fs'
import type { ControllerCommand } from '../cli/controller.ts'
import { quoted } from '../cli/flags.ts'
import { type Controller, startController } from '../controller/controller.ts'
import type { TlsIdentity } from '../controller/http-server.ts'
import { startAdmin } from '../telemetry/admin.ts'
import { ControllerMetrics } from '../telemetry/controller-registry.ts'
import { openLog } from '../telemetry/log.ts'
import { findService } from './service.ts'

/** Runs a controller until SIGTERM or SIGINT ends it, with status 0; SIGHUP reads the certificate again. */
export async function runController({ tls, admin, ...command }: ControllerCommand): Promise<void> {
  const { log, dropped, flush } = openLog()
  const onFatal = (error: Error): never => {
    log('fatal', error.message, { stack: error.stack })
    flush()
    process.exit(1)
  }
  process.on('uncaughtException', onFatal)
  process.on('unhandledRejection', (reason) => onFatal(reason instanceof Error ? reason : new Error(String(reason))))
  const service = findService(log)
  let controller: Controller | undefined
  let isStopping = false
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (isStopping || controller === undefined) process.exit(0)
    isStopping = true
    service.tell('stopping')
    await controller.close()
    log('info', 'stopped', { signal })
    flush()
    process.exit(0)
  }
  process.on('SIGTERM', (signal) => void stop(signal))
  process.on('SIGINT', (signal) => void stop(signal))
  process.on('SIGHUP', () => controller?.reload())
  const readTls = tls && (() => readTlsFiles(tls))
  const metrics = admin && new ControllerMetrics(() => controller?.status(), dropped)
  // Before the ports of clients: whoever has seen "listening" can ask for the metrics.
  if (admin !== undefined && metrics !== undefined) {
    await startAdmin(admin, { metrics, isReady: () => controller !== undefined && !isStopping })
  }
  const onAnswer = metrics?.answered.bind(metrics)
  controller = await startController({ ...command, readTls, log, onAnswer })
  log('info', 'listening', { urls: controller.urls, data: command.directory, projects: command.projects })
  service.tell('ready')
  service.watch(async () => {})
}

/** @throws Error with its remedy, also when others can read the key */
function readTlsFiles({ certFile, keyFile }: { readonly certFile: string; readonly keyFile: string }): TlsIdentity {
  const cert = readFile('--tls-cert', certFile)
  const key = readFile('--tls-key', keyFile)
  if ((statSync(keyFile).mode & 0o077) !== 0) {
    throw new Error(`--tls-key ${quoted(keyFile)} can be read by others; run "chmod 600 ${keyFile}"`)
  }
  return { cert, key }
}

function readFile(flag: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`${flag} ${quoted(path)}: ${reason}; give a readable file`)
  }
}
