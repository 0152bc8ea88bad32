/** What the workers read of a backend: whether it may be chosen. */
export const Availability = {
  down: 0,
  up: 1,
  /** Gets no further connections; those that it has go on. */
  draining: 2,
  /** It has left the configuration, up: for connections that began before, where there is no other. */
  leaving: 3,
} as const
export type Availability = (typeof Availability)[keyof typeof Availability]
