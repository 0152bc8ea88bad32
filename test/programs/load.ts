// Clients that come at an even pace, as a program of its own: node load.js JSON
//
// Each connects, says one line, and is content when the app has answered it and closed in order. Ends with SIGTERM;
// prints a line `started` at the first answer, and what became of all (LoadResult) as the last line.
import { connect } from 'node:net'
import { parseEndpoint } from '../../src/address/endpoint.ts'
import { formatIpAddress } from '../../src/address/ip-address.ts'

export type LoadOrder = {
  /** Take turns. */
  readonly targets: readonly string[]
  readonly perSecond: number
}

export type LoadResult = {
  readonly started: number
  readonly answered: number
  /** How many failed, by the code of the error and the moment: `ECONNRESET asking 203.0.113.10:110`. */
  readonly failures: Readonly<Record<string, number>>
  /** How many each app has answered. */
  readonly apps: Readonly<Record<string, number>>
  /** From connect(2) to FIN: the median and the longest. */
  readonly medianMs: number
  readonly maxMs: number
}

const TICK_MS = 5
/** A client that has waited for so long has failed. */
const PATIENCE_MS = 10_000

const order = JSON.parse(process.argv[2]) as LoadOrder
const targets = order.targets.map((text) => {
  const endpoint = parseEndpoint(text)
  if (endpoint === undefined) throw new TypeError(`"${text}" is not of the form ADDRESS:PORT`)
  return { text, host: formatIpAddress(endpoint.address), port: endpoint.port }
})

const failures: Record<string, number> = {}
const apps: Record<string, number> = {}
const timesMs: number[] = []
let started = 0
let open = 0
let isOver = false

function startClient(number: number): void {
  const { text, host, port } = targets[number % targets.length]
  const line = `request ${number}`
  const startedMs = performance.now()
  let phase = 'connecting to'
  let answer = ''
  open += 1
  const socket = connect({ host, port })
  const timer = setTimeout(() => socket.destroy(new Error('no answer')), PATIENCE_MS)
  const finish = (failure: string | undefined): void => {
    if (phase === 'over') return
    clearTimeout(timer)
    if (failure === undefined) timesMs.push(performance.now() - startedMs)
    else failures[`${failure} ${phase} ${text}`] = (failures[`${failure} ${phase} ${text}`] ?? 0) + 1
    phase = 'over'
    open -= 1
    endWhenOver()
  }
  socket.on('connect', () => {
    phase = 'asking'
    socket.write(`${line}\n`)
  })
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1')
    if (!answer.endsWith('\n')) return
    phase = 'closing'
    socket.end()
  })
  socket.on('end', () => {
    if (!answer.endsWith(` ${line}\n`)) return finish('FIN')
    const app = answer.slice(0, -line.length - 2)
    if (timesMs.length === 0) console.log('started')
    apps[app] = (apps[app] ?? 0) + 1
    finish(undefined)
  })
  socket.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message))
}

function endWhenOver(): void {
  if (!isOver || open > 0) return
  timesMs.sort((a, b) => a - b)
  const result: LoadResult = {
    started,
    answered: timesMs.length,
    failures,
    apps,
    medianMs: timesMs[Math.floor(timesMs.length / 2)] ?? 0,
    maxMs: timesMs.at(-1) ?? 0,
  }
  console.log(JSON.stringify(result))
}

const beganMs = performance.now()
const pace = setInterval(() => {
  const due = Math.floor(((performance.now() - beganMs) / 1_000) * order.perSecond)
  while (started < due) startClient(started++)
}, TICK_MS)

process.once('SIGTERM', () => {
  clearInterval(pace)
  isOver = true
  endWhenOver()
})
