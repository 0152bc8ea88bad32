import { createSocket } from 'node:dgram'
import { loadQuestion, parseLoadReport } from '../../proxy-protocol/load-report.ts'
import type { LineTarget } from '../conversation/line.ts'
import type { LoopLag } from '../conversation/loop-lag.ts'
import { resultOfError } from '../conversation/probe-result.ts'
import type { LoadAnswer } from './load-answer.ts'

const QUESTION = loadQuestion()
/** One of the two may be lost on its way. */
const QUESTIONS_MAX = 3
const AGAIN_MS = 500

/** Asks one agent for its load, over UDP. Never rejects, and leaves nothing open. */
export function askByDatagram(
  { address, port, sourceAddress }: LineTarget,
  signal: AbortSignal,
  lag: Pick<LoopLag, 'watch'>,
  timeoutMs: number,
): Promise<LoadAnswer> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    const watch = lag.watch()
    let asked = 0
    const ask = (): void => {
      asked += 1
      socket.send(QUESTION)
      if (asked === QUESTIONS_MAX) clearInterval(again)
    }
    const again = setInterval(ask, AGAIN_MS)
    const end = (answer: LoadAnswer): void => {
      clearInterval(again)
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      watch.end()
      socket
        .removeAllListeners()
        .on('error', () => {})
        .close()
      resolve(answer)
    }
    const stop = (): void => end({ kind: 'nothing' })
    const timer = setTimeout(() => end(watch.hasLagged() ? { kind: 'nothing' } : { kind: 'no-answer' }), timeoutMs)
    signal.addEventListener('abort', stop, { once: true })
    // A port where nobody listens answers by an ICMP error, which the socket says of a later call.
    socket.on('error', (error) => end({ kind: resultOfError(error).kind === 'discarded' ? 'nothing' : 'no-answer' }))
    socket.on('connect', ask)
    socket.on('message', (bytes) => {
      const load = parseLoadReport(bytes.toString())
      end(load === undefined ? { kind: 'no-answer' } : { kind: 'load', load })
    })
    socket.bind({ port: 0, ...(sourceAddress !== undefined && { address: sourceAddress }) }, () => {
      // Without a callback: that would get the error of a host without a route to the agent, instead of the listener.
      socket.connect(port, address)
    })
  })
}
