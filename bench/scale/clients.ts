import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { BACKEND_PORT, FIRST_FRONTEND_PORT, FRONTEND_ADDRESS } from './configuration.ts'

const CONNECTION_MS_MAX = 10_000
const AT_A_TIME = 8
const QUEUE = 8_192

/** The app behind every backend: sends back what it gets. */
export async function startApp(): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  server.listen({ host: '0.0.0.0', port: BACKEND_PORT, backlog: QUEUE })
  await once(server, 'listening')
  return server
}

/** Makes one connection to each frontend after the other, some at a time; each sends one byte and gets it back. */
export async function visitAll(frontends: number): Promise<void> {
  let next = 0
  const visitor = async (): Promise<void> => {
    while (next < frontends) await visit(FIRST_FRONTEND_PORT + next++)
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, visitor))
}

function visit(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ host: FRONTEND_ADDRESS, port }, () => socket.end('x'))
    let bytes = 0
    socket.setTimeout(CONNECTION_MS_MAX, () => socket.destroy(new Error(`Port ${port} is silent`)))
    socket.on('data', (part) => {
      bytes += part.length
    })
    socket.on('error', reject)
    socket.on('close', () => (bytes === 1 ? resolve() : reject(new Error(`Port ${port} sent ${bytes} bytes, not 1`))))
  })
}
