// A thread for one task: it moves into a network namespace, opens sockets there, and tells their file descriptors, which
// are those of the whole process.
import { openSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { moveToNetworkNamespace } from '../linux/namespace.ts'
import { messageOf } from '../text/error-message.ts'
import type { BindAnswer, BindTask } from './listen-inside.ts'
import { bindHere } from './sockets.ts'

function bind({ namespacePath, endpoints }: BindTask): BindAnswer {
  try {
    moveToNetworkNamespace(openSync(namespacePath, 'r'))
    return { fds: endpoints.map(bindHere) }
  } catch (error) {
    return { problem: messageOf(error) }
  }
}

parentPort?.postMessage(bind(workerData as BindTask))
