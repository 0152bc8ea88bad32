import { request } from 'node:http'
import { formatEndpoint } from '../address/endpoint.ts'
import { formatIpAddress } from '../address/ip-address.ts'
import type { AdminAddress } from './admin.ts'

const TIMEOUT_MS = 10_000

/**
 * Asks the admin server of a running edge or agent for a page.
 *
 * @throws Error that names the address and the remedy when nobody answers, or other than with status 200
 */
export async function askAdmin(address: AdminAddress, path: string): Promise<string> {
  const name = address.kind === 'unix' ? `unix:${address.path}` : formatEndpoint(address.endpoint)
  const where =
    address.kind === 'unix'
      ? { socketPath: address.path }
      : { host: formatIpAddress(address.endpoint.address), port: address.endpoint.port }
  const { status, body } = await new Promise<{ status: number; body: string }>((resolve, reject) => {
    const asked = request({ ...where, path, agent: false, timeout: TIMEOUT_MS }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }))
    })
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${TIMEOUT_MS / 1_000} s`)))
    asked.on('error', (cause) => {
      const remedy = 'is it running, and is this the address of its --admin?'
      reject(new Error(`Nothing answers on "${name}" (${cause.message}); ${remedy}`, { cause }))
    })
    asked.end()
  })
  if (status !== 200) throw new Error(`"${name}" answers "${path}" with status ${status}: ${body.trim().slice(0, 200)}`)
  return body
}
