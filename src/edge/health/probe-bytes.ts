import type { Line } from '../conversation/line.ts'
import { failure, type ProbeResult, quote, SUCCESS } from '../conversation/probe-result.ts'

/**
 * Sends the request of a TCP or SSL check and compares the first bytes that come back with its response.
 *
 * Without a response, an established connection is enough, and what the backend says is of no interest. Without a
 * request, the backend is expected to speak first.
 */
export async function exchangeBytes(
  line: Line,
  probe: { readonly request: string; readonly response: string },
): Promise<ProbeResult> {
  if (probe.request !== '') line.write(probe.request)
  if (probe.response === '') return SUCCESS
  const expected = Buffer.from(probe.response)
  let received = Buffer.alloc(0)
  return new Promise((resolve) => {
    line.onBroken((result) => {
      if (result.kind !== 'failure' || received.length === 0) resolve(result)
      else resolve(failure(`${result.error} after ${quote(received)}, expected ${quote(expected)}`))
    })
    line.read((bytes) => {
      received = Buffer.concat([received, bytes.subarray(0, expected.length - received.length)])
      if (!received.equals(expected.subarray(0, received.length))) {
        resolve(failure(`answered ${quote(received)}, expected ${quote(expected)}`))
      } else if (received.length === expected.length) {
        resolve(SUCCESS)
      }
    })
  })
}
