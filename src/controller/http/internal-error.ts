import type { Log } from '../../telemetry/log.ts'
import { shown } from '../model/api-error.ts'

/** The message of an error may repeat the text that it stumbled over, also no more than the beginning of a key. */
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g

/** Logs why a request was answered with status 500, which its client is not told. */
export function logInternalError(
  log: Log,
  error: unknown,
  { method, path }: { readonly method: string; readonly path: string },
): void {
  const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined }
  log('error', withoutKey(message), { method, path: shown(path), stack: stack && withoutKey(stack) })
}

function withoutKey(text: string): string {
  return text.replace(PRIVATE_KEY, '(a private key, left out)')
}
