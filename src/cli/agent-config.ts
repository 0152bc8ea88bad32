import { type Cidr, parseCidr } from '../address/cidr.ts'
import { formatEndpoint } from '../address/endpoint.ts'
import { isMapping, type Mapping } from '../compute/json-value.ts'
import { nearestWord } from '../compute/nearest-word.ts'
import { readYamlDocuments } from '../compute/yaml-documents.ts'
import { messageOf } from '../text/error-message.ts'
import { shortened, withoutControls } from '../text/plain-text.ts'
import {
  type AgentCommand,
  type AgentListenerCommand,
  agentFlags,
  agentListener,
  agentListenerFlags,
  flowFlags,
  flowSettings,
} from './agent.ts'
import { agentControllerFlags, agentControllerSettings } from './agent-controller.ts'
import { processFlags, processSettings } from './data-plane-flags.ts'
import { type FlagTable, type FlagValues, quoted, UsageError } from './flags.ts'
import type { FollowerSettings } from './follower-flags.ts'

// The keys of the file are the names of the flag tables, and each value is checked by the flag's own parser: what the
// command line takes, the file takes.
const rootTable = { workers: agentFlags.workers, ...flowFlags, ...agentControllerFlags, ...processFlags } as const
/** Problems that a message names, and how long each may be. */
const PROBLEMS_NAMED_MAX = 50
const PROBLEM_LENGTH_MAX = 600
const ROOT_KEYS = [...Object.keys(rootTable), 'listeners']
const LISTENER_KEYS = ['allowedSubnets', ...Object.keys(agentListenerFlags)]
const TRUST_KEYS = ['allowedSubnets', 'allowedSubnetsFile', 'allowAllSubnets']

/**
 * Reads the text of an agent's configuration file; `path` is for messages.
 *
 * @throws UsageError with every problem at once, each with its place in the file
 */
export function parseAgentConfig(text: string, path: string): AgentCommand {
  const reader = new ConfigReader()
  const command = reader.readRoot(readRoot(text, path))
  if (command === undefined || reader.problems.length > 0) throw configError(path, reader.problems)
  return command
}

/** What the only document of a text says; undefined: there is none. */
function readRoot(text: string, path: string): unknown {
  const [document, ...others] = readYamlDocuments(text)
  if (document === undefined) return undefined
  if ('errors' in document)
    throw configError(
      path,
      document.errors.map(({ rule, remedy }) => `${rule}; ${remedy}`),
    )
  if (others.length > 0) throw configError(path, ['there are several documents; remove each "---" but the first'])
  return document.value
}

/** A file of any other kind can be quoted in a message at any length, control characters and all. */
function shown(problem: string): string {
  return shortened(withoutControls(problem), PROBLEM_LENGTH_MAX)
}

function configError(path: string, problems: readonly string[]): UsageError {
  const more = problems.length - PROBLEMS_NAMED_MAX
  const named = problems.slice(0, PROBLEMS_NAMED_MAX).map((problem) => `  ${shown(problem)}`)
  const lines = more > 0 ? [...named, `  and ${more} more`] : named
  return new UsageError(`${quoted(path)} cannot be used:\n${lines.join('\n')}`)
}

class ConfigReader {
  readonly problems: string[] = []

  readRoot(root: unknown): AgentCommand | undefined {
    if (!isMapping(root)) {
      this.#problem('/', 'must be a mapping with "listeners"')
      return undefined
    }
    this.#refuseUnknown(root, '', ROOT_KEYS, LISTENER_KEYS, 'belongs in a listener')
    const values = this.#readFlags(root, '', rootTable)
    const hasController = root.controller !== undefined
    const { listeners } = root
    if (!Array.isArray(listeners) || listeners.length === 0) {
      this.#problem('/listeners', 'must be a list of at least one listener')
      return undefined
    }
    const read = listeners.map((listener, index) => this.#readListener(listener, `/listeners/${index}`, hasController))
    const complete = read.filter((listener) => listener !== undefined)
    this.#checkController(root)
    if (values === undefined || complete.length < read.length || this.problems.length > 0) return undefined
    this.#refuseSameEndpoint(complete)
    const controller = this.#readController(values, complete)
    return {
      ...processSettings(values, values.workers[0]),
      flows: flowSettings(values),
      listeners: complete,
      ...(controller === undefined ? {} : { controller }),
    }
  }

  /** Says what is missing beside "controller", or needs it. */
  #checkController(root: Mapping): void {
    const { controller, ...others } = agentControllerFlags
    if (root.controller !== undefined) {
      if (root.instance === undefined)
        this.#problem('/instance', 'is missing; give the name by which the controller knows this host')
      return
    }
    for (const key of Object.keys(others)) {
      if (root[key] !== undefined)
        this.#problem(`/${key}`, `can only be used with "controller"; add that, or remove this`)
    }
  }

  #readController(
    values: FlagValues<typeof rootTable>,
    listeners: readonly AgentListenerCommand[],
  ): FollowerSettings | undefined {
    const settings = agentControllerSettings(values)
    if (settings === undefined || listeners.some(({ trust }) => trust.kind === 'controller')) return settings
    this.#problem('/controller', `no listener trusts its edges; leave ${TRUST_KEYS.join(', ')} out of one`)
    return undefined
  }

  #readListener(listener: unknown, at: string, hasController: boolean): AgentListenerCommand | undefined {
    if (!isMapping(listener)) {
      this.#problem(at, 'must be a mapping')
      return undefined
    }
    this.#refuseUnknown(listener, at, LISTENER_KEYS, ROOT_KEYS, 'belongs beside "listeners", for all of them')
    if (listener.listen === undefined) this.#problem(`${at}/listen`, 'is missing')
    const trust = this.#readTrust(listener, at, hasController)
    const values = this.#readFlags(withoutDefaultTarget(listener), at, agentListenerFlags)
    if (values === undefined || trust === undefined) return undefined
    try {
      return agentListener(values, trust)
    } catch (error) {
      this.#problem(at, messageOf(error))
      return undefined
    }
  }

  #readTrust(listener: Mapping, at: string, hasController: boolean): AgentListenerCommand['trust'] | undefined {
    const given = TRUST_KEYS.filter((key) => listener[key] !== undefined && listener[key] !== false)
    if (given.length === 0 && hasController) return { kind: 'controller' }
    if (given.length !== 1) {
      const rule = hasController ? 'takes at most' : 'needs exactly'
      this.#problem(at, `${rule} one of ${TRUST_KEYS.join(', ')}: whose headers are trusted?`)
      return undefined
    }
    if (given[0] === 'allowAllSubnets') return { kind: 'everyone' }
    if (given[0] === 'allowedSubnetsFile') {
      const { allowedSubnetsFile: path } = listener
      if (typeof path === 'string') return { kind: 'file', path }
      this.#problem(`${at}/allowedSubnetsFile`, 'must be the path of a file')
      return undefined
    }
    return this.#readSubnets(listener.allowedSubnets, `${at}/allowedSubnets`)
  }

  #readSubnets(entries: unknown, at: string): AgentListenerCommand['trust'] | undefined {
    if (!Array.isArray(entries) || entries.length === 0) {
      this.#problem(at, 'must be a list of at least one subnet')
      return undefined
    }
    const subnets: Cidr[] = []
    for (const [index, entry] of entries.entries()) {
      const subnet = typeof entry === 'string' ? parseCidr(entry) : undefined
      if (subnet === undefined) this.#problem(`${at}/${index}`, `${JSON.stringify(entry)} is not a subnet`)
      else subnets.push(subnet)
    }
    return subnets.length === entries.length ? { kind: 'subnets', subnets } : undefined
  }

  /** Reads every flag of a table from a mapping; undefined when one of them is wrong. */
  #readFlags<Table extends FlagTable>(mapping: Mapping, at: string, table: Table): FlagValues<Table> | undefined {
    const before = this.problems.length
    const values: Record<string, unknown[]> = {}
    for (const [key, flag] of Object.entries(table)) {
      const isSwitch = flag.metavar === ''
      const given = mapping[key]
      values[key] = []
      try {
        if (given === undefined) {
          if (flag.defaultText !== undefined) values[key].push(flag.parse(flag.defaultText, key))
        } else if (isSwitch && typeof given === 'boolean') {
          if (given) values[key].push(true)
        } else if (!isSwitch && (typeof given === 'string' || typeof given === 'number')) {
          // Its place names the key already.
          values[key].push(flag.parse(String(given), ''))
        } else {
          this.#problem(
            `${at}/${key}`,
            isSwitch ? 'must be true or false' : `must be ${flag.metavar}${given === null ? ', and is empty' : ''}`,
          )
        }
      } catch (error) {
        this.#problem(`${at}/${key}`, messageOf(error))
      }
    }
    return this.problems.length === before ? (values as FlagValues<Table>) : undefined
  }

  /** @param elsewhere keys that are known in another place, and what is said of those */
  #refuseUnknown(
    mapping: Mapping,
    at: string,
    known: readonly string[],
    elsewhere: readonly string[],
    place: string,
  ): void {
    for (const key of Object.keys(mapping)) {
      if (known.includes(key)) continue
      const nearest = nearestWord(key, known)
      if (elsewhere.includes(key)) this.#problem(`${at}/${key}`, place)
      else if (nearest !== undefined) this.#problem(`${at}/${key}`, `is unknown; did you mean "${nearest}"?`)
      else this.#problem(`${at}/${key}`, `is unknown; there are ${known.join(', ')}`)
    }
  }

  #refuseSameEndpoint(listeners: readonly AgentListenerCommand[]): void {
    const seen = new Map<string, number>()
    for (const [index, { listen, protocols }] of listeners.entries()) {
      const keys = protocols.map((protocol) => `${protocol} ${formatEndpoint(listen)}`)
      const first = keys.map((key) => seen.get(key)).find((other) => other !== undefined)
      if (first !== undefined) this.#problem(`/listeners/${index}/listen`, `is the same as that of /listeners/${first}`)
      for (const key of keys) seen.set(key, seen.get(key) ?? index)
    }
  }

  #problem(at: string, what: string): void {
    this.problems.push(`${at}: ${what.trim()}`)
  }
}

/**
 * A listener that names one target has no other: the default of the other one is somebody else's port, which clients of
 * that address family would get.
 */
function withoutDefaultTarget(listener: Mapping): Mapping {
  if (listener.target4 !== undefined && listener.target6 === undefined) return { ...listener, target6: 'none' }
  if (listener.target6 !== undefined && listener.target4 === undefined) return { ...listener, target4: 'none' }
  return listener
}
