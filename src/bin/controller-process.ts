import type { ControllerCommand } from '../cli/controller.ts'
import { quoted, UsageError } from '../cli/flags.ts'
import { type Controller, startController } from '../controller/controller.ts'
import type { TlsIdentity } from '../controller/http/http-server.ts'
import { startAdmin } from '../telemetry/admin.ts'
import { ControllerMetrics } from '../telemetry/controller-registry.ts'
import { type Log, openLog } from '../telemetry/log.ts'
import { asError } from '../text/error-message.ts'
import { CertificateError, certificateWarnings, readCertificate } from '../tls/certificate.ts'
import { edgeTls } from './edge-tls.ts'
import { readNamedFile } from './named-file.ts'
import { programVersion } from './program-version.ts'
import { findServiceManager, logForm } from './service-manager.ts'

type TlsFiles = NonNullable<ControllerCommand['tls']>

/** Runs a controller until SIGTERM or SIGINT ends it, with status 0; SIGHUP reads the certificate again. */
export async function runController({ tls, admin, ...command }: ControllerCommand): Promise<void> {
  const { log, dropped, flush } = openLog(logForm())
  const onFatal = (error: Error): never => {
    log('fatal', error.message, { stack: error.stack })
    flush()
    process.exit(1)
  }
  process.on('uncaughtException', onFatal)
  process.on('unhandledRejection', (reason) => onFatal(asError(reason)))
  const service = findServiceManager(log)
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
  const readTls = tls && (() => readTlsFiles(tls, log))
  const metrics = admin && new ControllerMetrics(() => controller?.status(), dropped, programVersion())
  // Before the ports of clients: whoever has seen "listening" can ask for the metrics.
  if (admin !== undefined && metrics !== undefined) {
    await startAdmin(admin, { metrics, isReady: () => controller !== undefined && !isStopping })
  }
  const onAnswer = metrics?.answered.bind(metrics)
  const onRefusedConnection = metrics?.refusedConnection.bind(metrics)
  const listeners = { onAnswer, onRefusedConnection }
  controller = await startController({ ...command, readTls, edgeTls: edgeTls(), log, ...listeners })
  log('info', 'listening', { urls: controller.urls, data: command.directory, projects: command.projects })
  service.tell('ready')
  service.watch(() => true)
}

/** Warns of what hinders nothing. @throws UsageError with its remedy, also when others can read the key */
function readTlsFiles({ certFile, keyFile }: TlsFiles, log: Log): TlsIdentity {
  const { text: cert } = readNamedFile('--tls-cert', certFile)
  const { text: key, isReadableByOthers } = readNamedFile('--tls-key', keyFile)
  try {
    const certificate = readCertificate(certFile, cert, key)
    for (const warning of certificateWarnings(certificate, Date.now()))
      log('warn', `--tls-cert "${certFile}": ${warning}`)
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error
    const { part, rule, remedy } = error
    const file = part === 'certificate' ? `--tls-cert ${quoted(certFile)}` : `--tls-key ${quoted(keyFile)}`
    throw new UsageError(`${file}: ${rule}; ${remedy}`)
  }
  // Last: where the two files were swapped, that is what is wrong.
  if (isReadableByOthers) {
    throw new UsageError(`--tls-key ${quoted(keyFile)} can be read by others; run "chmod 600 ${keyFile}"`)
  }
  return { cert, key }
}
