// A thread for one task: it moves into a network namespace, opens sockets there, and tells their file descriptors, which
// are those of the whole process.
import { closeSync, openSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { moveToNetworkNamespace } from '../linux/namespace.ts'
import { close } from '../linux/socket.ts'
import { messageOf } from '../text/error-message.ts'
import type { BindAnswer, BindTask } from './listen-inside.ts'
import { bindHere } from './sockets.ts'

function bind({ namespacePath, endpoints }: BindTask): BindAnswer {
  const fds: number[] = []
  try {
    const namespace = openSync(namespacePath, 'r')
    try {
      moveToNetworkNamespace(namespace)
    } finally {
      closeSync(namespace)
    }
    for (const endpoint of endpoints) fds.push(bindHere(endpoint))
    return { fds }
  } catch (error) {
    for (const fd of fds) close(fd)
    return { problem: messageOf(error) }
  }
}

parentPort?.postMessage(bind(workerData as BindTask))
