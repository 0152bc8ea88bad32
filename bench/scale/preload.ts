// Loaded into every thread of the edge that is measured, before anything of it: counts what is sent to workers, and
// finds out the heap of each thread. It knows node, and nothing of the edge.
//
// A worker blocks inside the kernel and never comes to its event loop, so it looks for messages by receiveMessageOnPort:
// that is where it is asked. Whoever wants to know has to make the edge send its workers something.
import { readlinkSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { createServer } from 'node:net'
import { getHeapStatistics, Serializer, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import threads, { isMainThread, threadId } from 'node:worker_threads'
import { type Counted, type HeapReport, SOCKET_VARIABLE } from './preload-protocol.ts'

const SHARED = 'truepeer-bench-scale'
const THREADS_MAX = 128
/** Of one thread in the shared cells: the request that it has answered, thread id of the kernel, three sizes. */
const STRIDE = 5

type Cells = { readonly request: Int32Array; readonly reports: Float64Array }

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** The id by which the kernel knows the calling thread. */
function kernelThreadId(): number {
  return Number(readlinkSync('/proc/thread-self').split('/').at(-1))
}

function report(cells: Cells): void {
  // Twice: what the first leaves to finalizers, the second takes.
  collectGarbage()
  collectGarbage()
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics()
  const at = threadId * STRIDE
  const request = Atomics.load(cells.request, 0)
  cells.reports.set([request, kernelThreadId(), heap, external, process.memoryUsage().arrayBuffers], at)
}

function watchWorker(): void {
  const cells = threads.getEnvironmentData(SHARED) as unknown as Cells | undefined
  if (cells === undefined || threadId >= THREADS_MAX) return
  const receive = threads.receiveMessageOnPort
  let answered = 0
  threads.receiveMessageOnPort = (port) => {
    const received = receive(port)
    // Only once there is no message left: what a message brought may be garbage by then.
    if (received === undefined && Atomics.load(cells.request, 0) !== answered) {
      answered = Atomics.load(cells.request, 0)
      report(cells)
    }
    return received
  }
  syncBuiltinESMExports()
}

function watchMainThread(): void {
  const path = process.env[SOCKET_VARIABLE]
  if (path === undefined) return
  const cells: Cells = {
    request: new Int32Array(new SharedArrayBuffer(4)),
    reports: new Float64Array(new SharedArrayBuffer(THREADS_MAX * STRIDE * 8)),
  }
  threads.setEnvironmentData(SHARED, cells as unknown as threads.Serializable)
  const counter = new MessageCounter()
  counter.install()
  syncBuiltinESMExports()
  const answers: Readonly<Record<string, () => unknown>> = {
    count: () => counter.start(),
    counted: () => counter.stop(),
    ask: () => {
      Atomics.add(cells.request, 0, 1)
      report(cells)
    },
    reports: () => reportsOf(cells),
  }
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', (question) => socket.end(JSON.stringify(answers[question.toString().trim()]?.() ?? null)))
  })
  server.listen(path)
  server.unref()
}

function reportsOf({ request, reports }: Cells): readonly HeapReport[] {
  return Array.from({ length: THREADS_MAX }, (_, id) => id).flatMap((id) => {
    const [answered, kernelId, heapBytes, externalBytes, arrayBufferBytes] = reports.subarray(id * STRIDE)
    if (kernelId === 0) return []
    const isCurrent = answered === Atomics.load(request, 0)
    return [{ isMain: id === 0, isCurrent, kernelId, heapBytes, externalBytes, arrayBufferBytes }]
  })
}

/** Counts what the main thread gives other threads, by what node's own serialization would make of it. */
class MessageCounter {
  #isCounting = true
  #isInside = false
  #counted: Counted = { messages: 0, bytes: 0, sharedBytes: 0, startBytes: 0 }
  /** Memory that another thread has got already. */
  readonly #shared = new WeakSet<object>()

  install(): void {
    const counter = this
    for (const { prototype } of [threads.MessagePort, threads.Worker]) {
      const post = prototype.postMessage
      prototype.postMessage = function (this: threads.Worker, ...args: Parameters<typeof post>) {
        return counter.#around(args[0], () => Reflect.apply(post, this, args))
      } as typeof post
    }
    const { Worker } = threads
    threads.Worker = class extends Worker {
      constructor(...args: ConstructorParameters<typeof Worker>) {
        const { bytes, sharedBytes } = counter.#size(args[1]?.workerData)
        // Node hands it over by a message of its own, which must not count twice.
        counter.#isInside = true
        try {
          super(...args)
        } finally {
          counter.#isInside = false
        }
        counter.#add({ messages: 0, bytes: 0, sharedBytes, startBytes: bytes })
      }
    }
  }

  start(): void {
    this.#counted = { messages: 0, bytes: 0, sharedBytes: 0, startBytes: 0 }
    this.#isCounting = true
  }

  /** Counting costs as much as sending: nothing is counted while time is measured. */
  stop(): Counted {
    this.#isCounting = false
    return this.#counted
  }

  /** Worker.postMessage calls that of a port. */
  #around<Result>(message: unknown, post: () => Result): Result {
    if (!this.#isCounting || this.#isInside) return post()
    this.#isInside = true
    try {
      this.#add({ messages: 1, startBytes: 0, ...this.#size(message) })
      return post()
    } finally {
      this.#isInside = false
    }
  }

  #add(more: Counted): void {
    if (!this.#isCounting) return
    const { messages, bytes, sharedBytes, startBytes } = this.#counted
    this.#counted = {
      messages: messages + more.messages,
      bytes: bytes + more.bytes,
      sharedBytes: sharedBytes + more.sharedBytes,
      startBytes: startBytes + more.startBytes,
    }
  }

  #size(message: unknown): { readonly bytes: number; readonly sharedBytes: number } {
    const sizer = new Sizer(this.#shared)
    sizer.writeHeader()
    sizer.writeValue(message)
    return { bytes: sizer.releaseBuffer().length, sharedBytes: sizer.sharedBytes }
  }
}

/** Node's serialization of messages; shared memory is named in it and not copied, as when it is sent. */
class Sizer extends Serializer {
  sharedBytes = 0
  readonly #known: WeakSet<object>
  readonly #ids: SharedArrayBuffer[] = []
  readonly _getDataCloneError = Error

  constructor(known: WeakSet<object>) {
    super()
    this.#known = known
  }

  _getSharedArrayBufferId(buffer: SharedArrayBuffer): number {
    if (!this.#known.has(buffer)) this.sharedBytes += buffer.byteLength
    this.#known.add(buffer)
    if (!this.#ids.includes(buffer)) this.#ids.push(buffer)
    return this.#ids.indexOf(buffer)
  }

  /** A port or a handle: only a reference goes over. */
  _writeHostObject(): void {
    this.writeUint32(0)
  }
}

// Behind the classes that it needs.
if (isMainThread) watchMainThread()
else watchWorker()
