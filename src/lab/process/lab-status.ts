/** A host of a lab, as `truepeer lab status` shows it. */
export type LabHost = {
  readonly name: string
  readonly kind: 'client' | 'edge' | 'instance'
  readonly region: string
  /** Of an instance only. */
  readonly zone?: string | undefined
  readonly addresses: readonly string[]
  /** In a few words. */
  readonly state: string
}

/** What a lab says of itself. */
export type LabStatus = {
  readonly name: string
  /** Where programs of this machine find the API. */
  readonly url: string
  readonly project: string
  /** The ranges of global addresses. */
  readonly pools: readonly string[]
  /** Why packets between regions take no time; undefined: they do. */
  readonly noLatency: string | undefined
  readonly hosts: readonly LabHost[]
}

/** How a host of a lab is entered from the lab's own namespaces: arguments of nsenter(1). */
export type LabEntrance = { readonly enter: readonly string[] }

/** What the lab process is started with, as one argument in JSON. */
export type LabOrder = {
  readonly name: string
  /** The port of the API on the machine's loopback address; another one is taken where it is not free. */
  readonly port: number
  /** The users who need no token there, by the numbers that they have inside. */
  readonly owners: readonly number[]
}

/** What it says, once, to whoever started it: that it runs, or why it cannot. */
export type LabNews = { readonly ready: LabStatus } | { readonly failed: string }
