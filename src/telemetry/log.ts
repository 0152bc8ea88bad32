import { pino } from 'pino'
import { inForm, type LogForm } from './log-form.ts'
import { LogOutput } from './log-output.ts'

/** Severity of a log record: `error` needs the operator, `warn` may, `info` marks the program's own life. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal'
/** Facts of a log record; values that came from a peer must already be plain text. */
export type LogFields = Readonly<Record<string, unknown>>
/** Takes one record. On the main thread it is written, in a worker it is sent there. */
export type Log = (level: LogLevel, message: string, fields?: LogFields) => void

/** Records that wait for a slow reader of stdout before further ones are dropped, in bytes. */
const BACKLOG_BYTES_MAX = 4 * 1024 * 1024

export type LogWriter = {
  readonly log: Log
  /** Records dropped because the reader of stdout was too slow. */
  readonly dropped: () => number
  /** Writes what is still buffered, before the program ends. */
  readonly flush: () => void
}

/** Writes records to stdout without ever blocking the caller; a reader that is too slow loses records, counted. */
export function openLog(form: LogForm): LogWriter {
  const output = new LogOutput(1, BACKLOG_BYTES_MAX)
  const logger = pino(
    {
      level: 'debug',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => output.write(inForm(form, line)) },
  )
  return {
    log: (level, message, fields = {}) => logger[level](fields, message),
    dropped: () => output.dropped,
    flush: () => output.flush(),
  }
}
