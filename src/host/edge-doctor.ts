import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import { formatIpAddress, type IpAddress } from '../address/ip-address.ts'
import { isOwnAddress } from '../linux/route.ts'
import { counted, firstOf } from '../text/counts.ts'
import { CAP_SYS_ADMIN, CAP_SYS_RESOURCE, hasCapability } from './capabilities.ts'
import { answersFinding, checkStateDirectory, type EdgeAnswer, noAnswerFinding } from './check-controller.ts'
import { checkConntrack, checkOpenFiles, checkPipes, type ReadSetting } from './check-kernel.ts'
import { checkBindCapability, checkFrontend } from './check-listen.ts'
import { checkQueues } from './check-queues.ts'
import { type Finding, fail, findingsToJson, formatFindings, isAllRight, ok, warn } from './finding.ts'
import { FLAG_NAMES } from './setting-names.ts'
import { readSysctl } from './sysctl.ts'

/** What a doctor has to know of an edge. */
export type EdgeDoctorOptions = {
  /** Sentences of what is wrong with its configuration, and of what is perhaps not meant. */
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
  readonly frontends: readonly Endpoint[]
  /** Those of UDP. */
  readonly datagramFrontends: readonly Endpoint[]
  readonly services: readonly { readonly name: string; readonly backends: readonly Endpoint[] }[]
  readonly sourceAddresses: readonly IpAddress[]
  readonly assignsAddresses: boolean
  /** undefined: it follows none. */
  readonly controller:
    | {
        /** How the edge is called there. */
        readonly name: string
        /** Where the last configuration is kept. */
        readonly file: string
        /** Asks it with the token of the edge. Never rejects. */
        readonly ask: () => Promise<EdgeAnswer>
      }
    | undefined
  /** 0: no limit of its own. */
  readonly maxConnections: number
  /** The same of flows of UDP. */
  readonly flowsMax: number
  /** Connects to a backend; resolves with why it cannot be done. */
  readonly reach: (backend: Endpoint) => Promise<string | undefined>
}

/** How many backends are connected to at the same time. */
const REACHED_AT_ONCE = 64
/** How many backends, or addresses, a finding names. */
const NAMED_MAX = 3

/**
 * Runs `truepeer doctor edge`; `print` takes its standard output. Changes nothing on the host.
 *
 * @returns the exit status: 0 if nothing fails, else 1
 * @throws HostError when a program is missing that the checks need
 */
export async function runEdgeDoctor(
  options: EdgeDoctorOptions,
  isJson: boolean,
  print: (text: string) => void,
): Promise<number> {
  const { frontends, datagramFrontends, services, controller, maxConnections } = options
  const findings = [
    ...checkConfiguration(options),
    ...(controller === undefined ? [] : await checkController(controller)),
    checkBindCapability([...frontends, ...datagramFrontends]),
  ]
  for (const frontend of frontends) findings.push(await checkFrontend(frontend, 'tcp', options.assignsAddresses))
  for (const frontend of datagramFrontends) {
    findings.push(await checkFrontend(frontend, 'udp', options.assignsAddresses), checkQueues('edge', frontend, []))
  }
  findings.push(...checkSources(options.sourceAddresses))
  for (const service of services) findings.push(await checkService(service, options.reach))
  findings.push(
    checkPortsForBackends(readSysctl, options.sourceAddresses.length, maxConnections),
    checkConntrack(readSysctl),
    checkPipes(readSysctl, hasCapability(CAP_SYS_RESOURCE) || hasCapability(CAP_SYS_ADMIN)),
    checkOpenFiles(readFileSync('/proc/self/limits', 'utf8'), maxConnections, options.flowsMax),
  )
  print(isJson ? findingsToJson(findings) : formatFindings(findings))
  return isAllRight(findings) ? 0 : 1
}

function checkConfiguration(options: EdgeDoctorOptions): Finding[] {
  const { problems, warnings, frontends, datagramFrontends, controller } = options
  const name = 'configuration'
  const remedy = controller === undefined ? 'correct the configuration' : 'correct it at the controller'
  if (problems.length > 0) return problems.map((problem) => fail(name, problem, remedy))
  if (warnings.length > 0) return warnings.map((warning) => warn(name, warning, `${remedy}, unless it is meant so`))
  const count = counted(frontends.length + datagramFrontends.length, 'frontend')
  return [ok(name, controller === undefined ? count : `${count} in the last configuration of the controller`)]
}

async function checkController({ name, file, ask }: NonNullable<EdgeDoctorOptions['controller']>): Promise<Finding[]> {
  const answer = await ask()
  const finding =
    answer.kind === 'known' ? answersFinding() : noAnswerFinding(answer, { name, role: 'edge' }, FLAG_NAMES)
  return [finding, checkStateDirectory(dirname(file), FLAG_NAMES)]
}

function checkSources(addresses: readonly IpAddress[]): Finding[] {
  if (addresses.length === 0) return []
  const name = 'source-ranges'
  const foreign = addresses.filter((address) => !isOwnAddress(address)).map(formatIpAddress)
  if (foreign.length === 0) return [ok(name, `this host has all ${addresses.length}`)]
  const detail = `${firstOf(foreign, NAMED_MAX)} ${foreign.length === 1 ? 'is not an address' : 'are not addresses'} of this host`
  return [fail(name, detail, `"ip address add ${foreign[0]} dev INTERFACE", or leave it out of --source-ranges`)]
}

async function checkService(
  { name: service, backends }: EdgeDoctorOptions['services'][number],
  reach: EdgeDoctorOptions['reach'],
): Promise<Finding> {
  const name = 'backends'
  const problems: string[] = []
  for (let first = 0; first < backends.length; first += REACHED_AT_ONCE) {
    const some = backends.slice(first, first + REACHED_AT_ONCE)
    const found = await Promise.all(some.map(reach))
    for (const [index, problem] of found.entries()) {
      if (problem !== undefined) problems.push(`${formatEndpoint(some[index])} (${problem})`)
    }
  }
  const { length: count } = backends
  if (problems.length === 0) {
    return ok(name, `${service}: ${count === 1 ? '1 of 1 accepts' : `all ${count} accept`} a connection`)
  }
  const verb = problems.length === 1 ? 'does' : 'do'
  const detail = `${service}: ${problems.length} of ${count} ${verb} not accept a connection: ${firstOf(problems, NAMED_MAX)}`
  const remedy = 'start the app or the agent there, and open its port to this host in the firewalls between'
  return problems.length < backends.length ? warn(name, detail, remedy) : fail(name, detail, remedy)
}

/** A connection to a backend needs a port of one of the edge's addresses that no other connection to it has. */
export function checkPortsForBackends(read: ReadSetting, sources: number, maxConnections: number): Finding {
  const name = 'ports-to-backends'
  const [first, last] = (read('net.ipv4.ip_local_port_range') ?? '').split(/\s+/).map(Number)
  const count = (last - first + 1) * Math.max(1, sources)
  const detail = `${count} connections to one backend at the same time`
  if (maxConnections <= count) return ok(name, detail)
  return warn(
    name,
    `${detail}, and --max-connections is ${maxConnections}`,
    'give further addresses with --source-ranges, or widen net.ipv4.ip_local_port_range',
  )
}
