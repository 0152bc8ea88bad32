/** What the workers read of a backend: whether it may be chosen. */
export const Availability = {
  down: 0,
  up: 1,
  /** Up, and busier than it should be. */
  full: 2,
  /** Gets no further connections; those that it has go on. */
  draining: 3,
  /** It has left the configuration, up: for connections that began before, where there is no other. */
  leaving: 4,
} as const
export type Availability = (typeof Availability)[keyof typeof Availability]
