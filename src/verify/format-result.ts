import { withoutControls } from '../text/plain-text.ts'
import type { VerifyResult } from './verify.ts'

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
    lines.push('app          is not "truepeer whoami", so the address that it sees and its speed are unknown')
  } else if (app.kind === 'whoami') {
    const port = app.isPortKept ? '' : ' (another port)'
    const verdict = app.isAddressKept ? `this client${port}` : `not this client, ${client}`
    lines.push(`app          sees ${app.sees}: ${verdict}`)
    lines.push(`latency      ${ms(app.latencyMs.minimum)} at least, ${ms(app.latencyMs.median)} half of the time`)
    const { toClient, toApp } = app.throughput
    lines.push(`throughput   ${Math.round(toClient)} Mbit/s from the app, ${Math.round(toApp)} Mbit/s to it`)
  }
  lines.push(...problems.map((problem) => `problem      ${problem}`))
  return lines.map((line) => `${withoutControls(line)}\n`).join('')
}

function ms(durationMs: number): string {
  return `${durationMs.toFixed(1)} ms`
}
