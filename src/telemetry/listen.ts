import { lstatSync, unlinkSync } from 'node:fs'
import { type Server, Socket } from 'node:net'
import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import { formatIpAddress } from '../address/ip-address.ts'

/** Where a server for operators listens. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly endpoint: Endpoint }
  | { readonly kind: 'unix'; readonly path: string }

/** What is done about a UNIX socket that is there: one that nobody answers on is always replaced. */
export type LiveSocket =
  /** The process that has it goes on without it, as in an upgrade. */
  | 'taken over'
  /** Listening fails. */
  | 'kept'

/**
 * Makes a server listen; a UNIX socket is for its owner only, from its first moment. Whatever else is in the place of the
 * socket, such as a file, stays.
 *
 * @param who the subject of the error, such as "The admin server"
 * @throws Error that names the address and the remedy
 */
export async function listenOn(
  server: Server,
  address: ListenAddress,
  who: string,
  liveSocket: LiveSocket,
): Promise<void> {
  if (address.kind === 'unix') await removeSocket(address.path, liveSocket)
  const where =
    address.kind === 'unix'
      ? { path: address.path }
      : { host: formatIpAddress(address.endpoint.address), port: address.endpoint.port }
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const name = address.kind === 'unix' ? `unix:${address.path}` : formatEndpoint(address.endpoint)
      reject(
        new Error(`${who} cannot listen on "${name}": ${cause.message}; ${remedyOf(address, cause.code)}`, { cause }),
      )
    })
    // The mask of the process decides the mode of a socket (unix(7)).
    const mask = process.umask(0o177)
    server.listen(where, resolve)
    process.umask(mask)
  })
}

function remedyOf({ kind }: ListenAddress, code: string | undefined): string {
  if (code === 'EADDRINUSE') return 'another program or file has it; stop or remove that, or give another address'
  if (kind === 'unix') return 'give a path in a directory that exists and that this user can write to'
  if (code === 'EADDRNOTAVAIL') return 'give an address of this host'
  if (code === 'EACCES') return 'give a port of 1024 or above, or the process CAP_NET_BIND_SERVICE'
  return 'give another address'
}

/** One that a killed process left behind would make listening fail. */
async function removeSocket(path: string, live: LiveSocket): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return
  if (live === 'taken over' || (await isDead(path))) unlinkSync(path)
}

/** Only a refusal says that nobody listens; a server with a full queue answers with another error. */
function isDead(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = new Socket()
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'))
    socket.connect(path)
  })
}
