import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
} from './constants.ts'
import { checked, EINTR } from './errno.ts'
import { native } from './native.ts'

/** How many events one wait tells of. */
export const EVENTS_PER_WAIT = 512
const INTS_PER_EVENT = 3

/** Something can be read, or the peer has sent its FIN, or the socket has failed. */
export const READABLE = EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP
/** Something can be written, or writing will say what went wrong. */
export const WRITABLE = EPOLLOUT | EPOLLERR | EPOLLHUP
/** No more bytes will arrive after those that are queued: FIN or an error. */
export const HANGUP = EPOLLRDHUP | EPOLLERR | EPOLLHUP
/** A byte among those that can be read is urgent: reading stops once in front of it. */
export const URGENT = EPOLLPRI
/** The socket has an error pending (SO_ERROR). */
export const FAILED = EPOLLERR

const STREAM_EVENTS = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET

/**
 * An epoll(7) instance whose descriptors are registered once, edge-triggered, for everything.
 *
 * After {@link wait}, event `i` is read with `events(i)`, `token(i)` and `generation(i)`: the two 32-bit numbers
 * given to {@link add}. The results of one wait are overwritten by the next.
 */
export class Poller {
  readonly #fd = checked('epoll_create1', native.epollCreate())
  readonly #results = new Int32Array(EVENTS_PER_WAIT * INTS_PER_EVENT)

  /** Watches a stream socket for reading, urgent bytes, writing, hang-up and errors; returns 0 or a negated errno. */
  add(fd: number, token: number, generation: number): number {
    return native.epollCtl(this.#fd, EPOLL_CTL_ADD, fd, STREAM_EVENTS, token, generation)
  }

  /** Watches for reading and errors only: a listening or UDP socket, or an eventfd; returns 0 or a negated errno. */
  addReadable(fd: number, token: number, generation = 0): number {
    return native.epollCtl(this.#fd, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET, token, generation)
  }

  /** Stops watching a descriptor that stays open elsewhere. Closing the last copy of one does this by itself. */
  remove(fd: number): void {
    native.epollCtl(this.#fd, EPOLL_CTL_DEL, fd, 0, 0, 0)
  }

  /** Blocks for at most `timeoutMs` (-1: for ever) and returns how many events there are; 0 after a signal. */
  wait(timeoutMs: number): number {
    const count = native.epollWait(this.#fd, this.#results, timeoutMs)
    return count === EINTR ? 0 : checked('epoll_wait', count)
  }

  events(index: number): number {
    return this.#results[index * INTS_PER_EVENT]
  }

  token(index: number): number {
    return this.#results[index * INTS_PER_EVENT + 1]
  }

  generation(index: number): number {
    return this.#results[index * INTS_PER_EVENT + 2]
  }

  close(): void {
    native.close(this.#fd)
  }
}
