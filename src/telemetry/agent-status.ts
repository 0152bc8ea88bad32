/** What an agent says about itself: the answer of its `/status`. */
export type AgentStatus = {
  readonly listeners: readonly {
    /** ADDR:PORT, here and below. */
    readonly listen: string
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
}
