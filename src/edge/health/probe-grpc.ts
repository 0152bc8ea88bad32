import type { IncomingHttpHeaders } from 'node:http2'
import type { Line } from '../conversation/line.ts'
import { failure, type ProbeResult, quote, SUCCESS } from '../conversation/probe-result.ts'
import { decodeHealthCheckResponse, encodeHealthCheckRequest, ServingStatus } from './grpc-messages.ts'
import { addressAsHost, USER_AGENT } from './http-check.ts'
import { requestHttp2 } from './probe-http2.ts'

const CHECK_PATH = '/grpc.health.v1.Health/Check'
/** Far more than a HealthCheckResponse needs. */
const MESSAGE_BYTES_MAX = 1_024
const STATUS_OK = 200

/** Names of the statuses of gRPC (grpc: doc/statuscodes.md), by number. */
const GRPC_STATUSES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
]
const GRPC_OK = '0'

const SERVING_STATUSES: Readonly<Record<number, string>> = {
  [ServingStatus.unknown]: 'UNKNOWN',
  [ServingStatus.notServing]: 'NOT_SERVING',
  [ServingStatus.serviceUnknown]: 'SERVICE_UNKNOWN',
}

/** Calls grpc.health.v1.Health/Check over an open connection: SERVING is healthy (grpc: doc/health-checking.md). */
export function exchangeGrpc(
  line: Line,
  check: { readonly serviceName: string },
  scheme: 'http' | 'https',
  address: string,
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    let body = Buffer.alloc(0)
    let status: number | undefined
    let grpcStatus: string | undefined
    const note = (headers: IncomingHttpHeaders): void => {
      const value = headers['grpc-status']
      if (typeof value === 'string') grpcStatus = value
    }
    const stream = requestHttp2(
      line,
      {
        ':method': 'POST',
        ':scheme': scheme,
        ':authority': addressAsHost(address),
        ':path': CHECK_PATH,
        'content-type': 'application/grpc',
        te: 'trailers',
        'user-agent': USER_AGENT,
      },
      encodeHealthCheckRequest(check.serviceName),
      (broken) =>
        resolve(status === undefined || grpcStatus === undefined ? broken : judge(check.serviceName, grpcStatus, body)),
    )
    stream.on('response', (headers) => {
      status = headers[':status']
      if (status !== STATUS_OK) resolve(failure(`HTTP status ${status}, expected ${STATUS_OK}`))
      // An answer without a message has its status here instead of in trailers.
      note(headers)
    })
    stream.on('trailers', note)
    stream.on('data', (bytes: Buffer) => {
      body = Buffer.concat([body, bytes])
      if (body.length > MESSAGE_BYTES_MAX) resolve(failure(`the answer is longer than ${MESSAGE_BYTES_MAX} bytes`))
    })
  })
}

function judge(serviceName: string, grpcStatus: string, body: Uint8Array): ProbeResult {
  if (grpcStatus !== GRPC_OK) return failure(`gRPC status ${statusText(grpcStatus)}, expected 0 (OK)`)
  const response = decodeHealthCheckResponse(body)
  if (response === undefined) return failure('the answer is not a HealthCheckResponse of gRPC')
  if (response.status === ServingStatus.serving) return SUCCESS
  const service = serviceName === '' ? 'the server' : `service ${quote(serviceName)}`
  return failure(`${service} is ${SERVING_STATUSES[response.status] ?? response.status}, expected SERVING`)
}

function statusText(grpcStatus: string): string {
  const name = /^\d{1,2}$/.test(grpcStatus) ? GRPC_STATUSES[Number(grpcStatus)] : undefined
  return name === undefined ? quote(grpcStatus) : `${grpcStatus} (${name})`
}
