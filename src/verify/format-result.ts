import { withoutControls } from '../text/plain-text.ts'
import type { VerifyResult } from './verify.ts'
import type { DatagramResult } from './verify-datagrams.ts'
import type { Latency, Seen } from './whoami-seen.ts'

const NOT_WHOAMI = 'app          is not "truepeer whoami", so the address that it sees'

/** The result as lines for a terminal; what the other side has said cannot move the cursor. */
export function formatResult({ target, client, connectMs, tls, app, problems }: VerifyResult): string {
  const lines = [`connected    ${target} from ${client} in ${ms(connectMs)}`]
  if (tls !== undefined) {
    lines.push(`TLS          ${tls.version}, ${tls.cipher}, handshake in ${ms(tls.handshakeMs)}`)
    for (const [index, link] of tls.chain.entries()) {
      const names = link.names.length === 0 ? '' : `, ${link.names.join(', ')}`
      lines.push(`certificate  ${index}: ${link.subject}${names}; issued by ${link.issuer}; until ${link.expiresAt}`)
    }
    lines.push(`verified     ${tls.isVerified ? 'yes' : `no: ${tls.problem ?? ''}`}`)
  }
  if (app.kind === 'other' || app.kind === 'silent') {
    lines.push(`${NOT_WHOAMI} and its speed are unknown`)
  } else if (app.kind === 'whoami') {
    lines.push(seenLine(app, client), latencyLine(app.latencyMs))
    const { toClient, toApp } = app.throughput
    lines.push(`throughput   ${Math.round(toClient)} Mbit/s from the app, ${Math.round(toApp)} Mbit/s to it`)
  }
  return text(lines, problems)
}

/** As {@link formatResult}, for UDP. */
export function formatDatagramResult({ target, client, app, problems }: DatagramResult): string {
  const lines = [`sent         datagrams to ${target} as ${client}`]
  if (app.kind === 'other' || app.kind === 'silent') lines.push(`${NOT_WHOAMI} is unknown`)
  if (app.kind === 'whoami') {
    lines.push(seenLine(app, client))
    const { count, of } = app.answered
    if (app.latencyMs !== undefined) lines.push(latencyLine(app.latencyMs))
    lines.push(`answered     ${count} of ${of} datagrams, and one of ${app.bytesMax} bytes`)
  }
  return text(lines, problems)
}

function text(lines: readonly string[], problems: readonly string[]): string {
  const all = [...lines, ...problems.map((problem) => `problem      ${problem}`)]
  return all.map((line) => `${withoutControls(line)}\n`).join('')
}

function seenLine({ sees, isAddressKept, isPortKept }: Seen, client: string): string {
  const port = isPortKept ? '' : ' (another port)'
  const verdict = isAddressKept ? `this client${port}` : `not this client, ${client}`
  return `app          sees ${sees}: ${verdict}`
}

function latencyLine({ minimum, median }: Latency): string {
  return `latency      ${ms(minimum)} at least, ${ms(median)} half of the time`
}

function ms(durationMs: number): string {
  return `${durationMs.toFixed(1)} ms`
}
