/** What an agent says about itself: the answer of its `/status`. */
export type AgentStatus = {
  readonly listeners: readonly {
    /** ADDR:PORT, here and below. */
    readonly listen: string
    /** An older agent does not say it: tcp. */
    readonly protocol?: 'tcp' | 'udp'
    readonly target4: string
    readonly target6: string
    /** The subnets of trusted edges; null: everyone who can reach the port is trusted. */
    readonly trusted: readonly string[] | null
    /** Closed while the app is down, with `--app-check close-port`. */
    readonly isOpen: boolean
  }[]
  readonly connections: {
    readonly open: number
    readonly accepted: number
    /** How many ended for each reason that there has been. */
    readonly ended: Readonly<Record<string, number>>
  }
  /** Of UDP; an older agent has none. */
  readonly flows?: {
    readonly open: number
    readonly opened: number
    readonly ended: Readonly<Record<string, number>>
    /** Datagrams that were not passed on, by reason. */
    readonly dropped: Readonly<Record<string, number>>
  }
}
