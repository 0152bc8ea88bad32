import { type IncomingMessage, type RequestOptions, request } from 'node:http'
import { formatEndpoint } from '../address/endpoint.ts'
import { formatIpAddress } from '../address/ip-address.ts'
import { withoutControls } from '../text/plain-text.ts'
import type { ListenAddress } from './listen.ts'

/** For the whole answer: whoever trickles is no edge. */
const TIMEOUT_MS = 10_000
/** Longer than the status of any edge. */
const BODY_BYTES_MAX = 128 * 1024 * 1024
const SHOWN_LENGTH_MAX = 200
/** An error of ours may list the names of backends. */
const ERROR_LENGTH_MAX = 4_000

/**
 * Asks the admin server of a running edge or agent for a page.
 *
 * @throws Error that names the address and the remedy when nobody answers, or other than with status 200
 */
export async function askAdmin(
  address: ListenAddress,
  method: 'GET' | 'POST',
  path: string,
  timeoutMs = TIMEOUT_MS,
): Promise<string> {
  const name = address.kind === 'unix' ? `unix:${address.path}` : formatEndpoint(address.endpoint)
  const where =
    address.kind === 'unix'
      ? { socketPath: address.path }
      : { host: formatIpAddress(address.endpoint.address), port: address.endpoint.port }
  const { status, body } = await ask({ ...where, method, path, agent: false }, timeoutMs).catch((cause: Error) => {
    const remedy = 'is it running, and is this the address of its --admin?'
    throw new Error(`Nothing answers on "${name}" (${cause.message}); ${remedy}`, { cause })
  })
  if (status === 200) return body
  const reason = reasonIn(body)
  // A sentence for the operator needs no word of HTTP.
  if (reason.isOurs) throw new Error(withoutControls(reason.text.slice(0, ERROR_LENGTH_MAX).trim()))
  const shown = withoutControls(reason.text.slice(0, SHOWN_LENGTH_MAX).trim())
  throw new Error(`"${name}" answers "${path}" with status ${status}: ${shown}`)
}

/** The text of an error of ours, or of a controller's API; everything else as it is. */
function reasonIn(body: string): { readonly text: string; readonly isOurs: boolean } {
  try {
    const { error } = JSON.parse(body) as { readonly error?: string | { readonly message?: string } }
    return typeof error === 'string' ? { text: error, isOurs: true } : { text: error?.message ?? body, isOurs: false }
  } catch {
    return { text: body, isOurs: false }
  }
}

function ask(options: RequestOptions, timeoutMs: number): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(options, (response) => {
      const { statusCode: status = 0 } = response
      readBody(response).then((body) => resolve({ status, body }), reject)
    })
    const timer = setTimeout(() => asked.destroy(new Error(`no answer within ${timeoutMs / 1_000} s`)), timeoutMs)
    asked.on('error', reject)
    asked.on('close', () => clearTimeout(timer))
    asked.end()
  })
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response) {
    chunks.push(chunk as Buffer)
    length += (chunk as Buffer).length
    if (length > BODY_BYTES_MAX) throw new Error(`more than ${BODY_BYTES_MAX / 1024 / 1024} MiB`)
  }
  return Buffer.concat(chunks).toString()
}
