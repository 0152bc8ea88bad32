import type { RequestListener } from 'node:http'
import type { Socket } from 'node:net'

/** Requests of one connection that wait for those before them. */
const WAITING_MAX = 32

/**
 * Has the requests of a connection carried out one after the other, each when the answer before it was sent, and those
 * behind it not at all once the client has left: node begins with all that were sent at once, and tells only the first
 * answer that its connection is closed. One that sends too many at once is closed.
 */
export function oneAtATime(handle: RequestListener): RequestListener {
  const waiting = new WeakMap<Socket, (() => void)[]>()
  return (request, response) => {
    const { socket } = request
    const next = (): void => {
      const following = socket.destroyed ? undefined : waiting.get(socket)?.shift()
      if (following === undefined) waiting.delete(socket)
      else following()
    }
    const carryOut = (): void => {
      response.once('close', next)
      handle(request, response)
    }
    const others = waiting.get(socket)
    if (others === undefined) {
      waiting.set(socket, [])
      carryOut()
    } else if (others.push(carryOut) > WAITING_MAX) {
      socket.destroy()
    }
  }
}
