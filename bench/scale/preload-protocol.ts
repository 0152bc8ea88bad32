/** The environment variable with the path of the UNIX socket on which the preload answers. */
export const SOCKET_VARIABLE = 'TRUEPEER_BENCH_SCALE_SOCKET'

/** What the main thread has given its workers. */
export type Counted = {
  readonly messages: number
  readonly bytes: number
  /** Shared memory that a message named for the first time. */
  readonly sharedBytes: number
  /** What workers got as workerData. */
  readonly startBytes: number
}

/** What one thread says of its heap after a full collection of garbage. */
export type HeapReport = {
  readonly isMain: boolean
  /** It answers the latest request. */
  readonly isCurrent: boolean
  /** The id by which the kernel knows the thread. */
  readonly kernelId: number
  readonly heapBytes: number
  readonly externalBytes: number
  readonly arrayBufferBytes: number
}
