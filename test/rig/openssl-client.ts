// A client of another implementation, which keeps its sessions in files.
import assert from 'node:assert/strict'
import type { Host } from '../../src/lab/host.ts'

/** How {@link openSession} connects. */
export type OpensslSession = {
  readonly version: 'tls1_2' | 'tls1_3'
  readonly name: string
  /** A file with the session to go on with. */
  readonly from?: string
  /** The file for the session that the server gives. */
  readonly to?: string
}

/** Connects with `openssl s_client` to a frontend whose app says a line and closes; says whether the session is another's. */
export async function openSession(
  host: Host,
  endpoint: string,
  { version, name, from, to }: OpensslSession,
): Promise<'new' | 'resumed'> {
  const files = [...(from === undefined ? [] : ['-sess_in', from]), ...(to === undefined ? [] : ['-sess_out', to])]
  const options = ['s_client', '-connect', endpoint, `-${version}`, '-servername', name, '-ign_eof', ...files]
  const { stdout, stderr } = await host.run('openssl', options, { input: 'hello\n' })
  const handshake = /^(New|Reused), TLSv1\.[23]/m.exec(stdout)
  assert.ok(handshake !== null, stdout + stderr)
  return handshake[1] === 'New' ? 'new' : 'resumed'
}
