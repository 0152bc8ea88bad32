import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

/** RFC 6455 §1.3. */
const HANDSHAKE_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
/** A final frame that closes the connection (RFC 6455 §5.5.1). */
const CLOSE_FRAME = 0x88
/** What Google's relay says to those who may not use it. */
const NOT_AUTHORIZED = 4033
const REASON = 'The lab has no tunnels: the instance can be reached without --tunnel-through-iap'

/** Refuses a WebSocket of gcloud's `--tunnel-through-iap` in the way that gcloud tells its user about. */
export function refuseTunnel({ headers }: IncomingMessage, socket: Duplex): void {
  // What more it says is not read, but its end has to be seen.
  socket.on('error', () => {}).resume()
  const accept = createHash('sha1')
    .update(`${headers['sec-websocket-key'] ?? ''}${HANDSHAKE_GUID}`)
    .digest('base64')
  const protocol = headers['sec-websocket-protocol']
  const head = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${accept}`,
    ...(protocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
  ]
  const payload = Buffer.concat([Buffer.from([NOT_AUTHORIZED >> 8, NOT_AUTHORIZED & 0xff]), Buffer.from(REASON)])
  socket.write(`${head.join('\r\n')}\r\n\r\n`)
  socket.end(Buffer.concat([Buffer.from([CLOSE_FRAME, payload.length]), payload]))
}
