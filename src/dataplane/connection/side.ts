import type { Pipe } from '../../linux/pipe.ts'
import type { TlsSession } from '../../tls/session.ts'

/** One of the two sockets of a connection, and what is known about it without asking the kernel again. */
export class Side {
  fd = -1
  /** recv(2) may have something: set by events, unset by a short read. */
  isReadable = false
  /** The send queue has room: unset by a short send, set by events. */
  isWritable = true
  /** FIN or an error is behind the queued bytes, so a short read is not the end of reading. */
  isHungUp = false
  /** A byte of what can be read is urgent: reading stops in front of it once, so a short read is not the end of reading. */
  hasUrgent = false
  /** Everything that this side sent has been read. */
  hasEnded = false
  /** FIN has been sent to this side. */
  isFinished = false
  /** The error that broke this socket (a negated errno), 0 while it is whole. */
  failure = 0
  /** Bytes read from this side. */
  receivedBytes = 0
  /** Bytes of this side's that the kernel has taken. */
  sentBytes = 0
  /** How many bytes this side had acknowledged when the kernel was last asked, the lower 32 bits. */
  acknowledgedBytes = 0
  /** Bytes for this side that the kernel has not taken yet. Nothing is read from the other side meanwhile. */
  queue: Uint8Array | null = null
  queueStart = 0
  /** A pipe with bytes for this side, and how many; like the queue, but they stay in the kernel. */
  pipe: Pipe | null = null
  pipedBytes = 0
  /** What its bytes are encrypted with; null: nothing, they are plain. See `transfer.ts`. */
  tls: TlsSession | null = null
  /** The last read from this side was a large one: the next bytes go through a pipe at once. */
  isBulk = false

  /** Makes the object fit for another socket. The queue stays: what could not be sent to one backend goes to the next. */
  attach(fd: number): void {
    this.fd = fd
    this.isReadable = false
    this.isWritable = true
    this.isHungUp = false
    this.hasUrgent = false
    this.hasEnded = false
    this.isFinished = false
    this.failure = 0
    this.receivedBytes = 0
    this.sentBytes = 0
    this.acknowledgedBytes = 0
    this.isBulk = false
  }

  /** Lets go of the socket, which the caller has closed, and of everything that was known of it. */
  detach(): void {
    this.attach(-1)
    if (this.tls !== null) {
      this.tls.close()
      this.tls = null
    }
    this.queue = null
    this.pipe = null
    this.pipedBytes = 0
  }
}

/** Notes that the socket broke. What it had received before can still be read; reading then ends with 0 or an error. */
export function breakSide(side: Side, failure: number): void {
  if (side.failure === 0) side.failure = failure
  side.isReadable = true
  side.isHungUp = true
}

/** Reports whether bytes for `side` wait here because it is slow. */
export function isBackedUp(side: Side): boolean {
  return side.queue !== null || side.pipe !== null
}
