// An app of lines as a program of its own, to be killed: node line-app.js ADDRESS PORT
import { createServer } from 'node:net'
import { serveLines } from '../rig/line-app.ts'

const [host, port] = process.argv.slice(2)
const name = `${host}:${port}`
const server = createServer({ allowHalfOpen: true }, (socket) => serveLines(socket, name))
server.listen({ host, port: Number(port), backlog: 4_096 }, () => console.log(`listening on ${name}`))
