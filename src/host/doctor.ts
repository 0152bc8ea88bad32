import { readFileSync } from 'node:fs'
import { classifyAddress } from '../address/address-class.ts'
import { type Endpoint, formatEndpoint, type Protocol } from '../address/endpoint.ts'
import { formatIpAddress } from '../address/ip-address.ts'
import { errnoName } from '../linux/errno.ts'
import { isOwnAddress } from '../linux/route.ts'
import { close, openStream, setTransparent } from '../linux/socket.ts'
import { messageOf } from '../text/error-message.ts'
import { CAP_SYS_ADMIN, CAP_SYS_RESOURCE, hasCapability } from './capabilities.ts'
import { type AppCheck, type AppSurroundings, appCheckName, checkApp } from './check-app.ts'
import { checkController, type DoctorController, type ParseLastEdges } from './check-controller.ts'
import {
  checkConntrack,
  checkEphemeralPorts,
  checkMigrateRequests,
  checkNonlocalBind,
  checkOpenFiles,
  checkPipes,
  checkRouteLocalnet,
  checkRpFilter,
} from './check-kernel.ts'
import { checkBindCapability, checkListen } from './check-listen.ts'
import { checkQueues } from './check-queues.ts'
import { checkConnection, checkDatagrams, checkNetworkd, checkOwnConnections, checkRouting } from './check-routing.ts'
import { type Finding, fail, findingsToJson, formatFindings, isAllRight, ok, warn } from './finding.ts'
import { readFirewall } from './firewall.ts'
import type { Family } from './policy-rules.ts'
import { routeLocalnetInterfaces } from './published-ports.ts'
import { familyName, hasFamily, IPV6_OFF } from './routing.ts'
import { FILE_NAMES, FLAG_NAMES, type SettingNames } from './setting-names.ts'
import { readSetupState } from './setup-state.ts'
import { readSysctl } from './sysctl.ts'

/** What a doctor has to know of one listening port of an agent. */
export type DoctorListener = {
  readonly listen: Endpoint
  readonly protocols: readonly Protocol[]
  /** null: clients of this address family are refused. */
  readonly target4: Endpoint | null
  readonly target6: Endpoint | null
  /** The subnets of trusted edges: none are needed, these, those in a file, or what a controller says. */
  readonly trust:
    | { readonly kind: 'everyone' }
    | { readonly kind: 'subnets'; readonly subnets: { readonly length: number } }
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'controller' }
  readonly sourcePort: 'preserve-or-ephemeral' | 'preserve' | 'ephemeral'
  readonly appCheck: AppCheck
  readonly mark: number
}

/** What a doctor has to know of an agent: a part of what its command line or its configuration file says. */
export type DoctorOptions = {
  readonly listeners: readonly DoctorListener[]
  /** undefined: it follows none. */
  readonly controller: DoctorController | undefined
  /** Remedies name keys of the file, not flags. */
  readonly hasConfigFile: boolean
  /** 0: no limit of its own. */
  readonly maxConnections: number
  /** 0: as many as there may be open files. */
  readonly flows: { readonly max: number }
  readonly families: readonly Family[]
  readonly json: boolean
}

/** Reads a list of trusted edges as an agent does; throws an Error with the remedy when an agent would not start. */
export type ReadAllowedSubnets = (path: string) => { readonly length: number }

/** Reads the files of an agent as the agent does. */
export type AgentReaders = {
  readonly readAllowedSubnets: ReadAllowedSubnets
  readonly parseLastEdges: ParseLastEdges
}

/**
 * Runs `truepeer doctor agent`; `print` takes its standard output.
 *
 * @returns the exit status: 0 if the chain will work, else 1
 * @throws HostError when a program is missing that the checks need
 */
export async function runDoctor(
  options: DoctorOptions,
  readers: AgentReaders,
  print: (text: string) => void,
): Promise<number> {
  const findings = await examineAgent(options, readers)
  print(options.json ? findingsToJson(findings) : formatFindings(findings))
  return isAllRight(findings) ? 0 : 1
}

/**
 * Makes all checks, also after one that fails; changes nothing on the host.
 *
 * @returns what concerns the process and the host once, the rest for each listener, which it names
 * @throws HostError
 */
export async function examineAgent(options: DoctorOptions, readers: AgentReaders): Promise<Finding[]> {
  const { listeners, families, controller } = options
  const names = options.hasConfigFile ? FILE_NAMES : FLAG_NAMES
  const listens = listeners.map(({ listen }) => listen)
  const keepsClientPorts = listeners.some(({ sourcePort }) => sourcePort !== 'ephemeral')
  const isAppOnLoopback = listeners
    .flatMap((listener) => targetsOf(listener, families))
    .every(({ target }) => target === null || classifyAddress(target.address) === 'loopback')
  const { readAllowedSubnets, parseLastEdges } = readers
  const context = { families, names, listeners, keepsClientPorts, readAllowedSubnets, probes: new Map() }
  const closedPorts = await portsClosedByFirewall()
  const findings = [checkTransparent(), checkBindCapability(listens)]
  if (controller !== undefined) findings.push(...(await checkController(controller, parseLastEdges, names)))
  for (const listener of listeners) findings.push(...(await examineListener(listener, { ...context, closedPorts })))
  return [
    ...findings,
    checkNonlocalBind(readSysctl),
    checkEphemeralPorts(readSysctl, keepsClientPorts, names),
    checkRpFilter(readSysctl, isAppOnLoopback),
    checkRouteLocalnet(routeLocalnetInterfaces()),
    checkConntrack(readSysctl, options.flows.max),
    checkMigrateRequests(readSysctl),
    checkPipes(readSysctl, hasCapability(CAP_SYS_RESOURCE) || hasCapability(CAP_SYS_ADMIN)),
    checkOpenFiles(readFileSync('/proc/self/limits', 'utf8'), options.maxConnections, options.flows.max),
    checkNetworkd(),
  ]
}

/** What the checks of a listener have to know beside it. */
type Context = Pick<AppSurroundings, 'closedPorts' | 'names'> & {
  /** All ports of the agent. */
  readonly listeners: readonly DoctorListener[]
  readonly families: readonly Family[]
  readonly keepsClientPorts: boolean
  readonly readAllowedSubnets: ReadAllowedSubnets
  /** What {@link once} has found. */
  readonly probes: Map<string, Finding>
}

async function examineListener(listener: DoctorListener, context: Context): Promise<Finding[]> {
  const { listen, trust, protocols } = listener
  const { names, families } = context
  const findings = [checkAllowedSubnets(trust, names, context.readAllowedSubnets)]
  const targets = targetsOf(listener, families)
  for (const protocol of protocols) {
    findings.push(await checkListen(listen, protocol, context.keepsClientPorts, names))
    for (const { family, target } of targets) {
      findings.push(...(await examineTarget(family, target, protocol, listener, context)))
    }
  }
  if (protocols.includes('udp'))
    findings.push(
      checkQueues(
        'agent',
        listen,
        targets.flatMap(({ target }) => target ?? []),
      ),
    )
  return findings.map((finding) => ({ ...finding, listener: formatEndpoint(listen) }))
}

async function examineTarget(
  family: Family,
  target: Endpoint | null,
  protocol: Protocol,
  { appCheck, mark }: DoctorListener,
  context: Context,
): Promise<Finding[]> {
  const { names, probes, closedPorts } = context
  if (target === null) return [ok(appCheckName(family, protocol), `none: ${familyName(family)} clients are refused`)]
  if (!hasFamily(family)) return [warn('ipv6', IPV6_OFF, 'give --family ipv4, unless your clients have such addresses')]
  const others = context.listeners.filter(({ protocols }) => protocols.includes(protocol))
  const listens = others.map(({ listen }) => listen)
  const app = await checkApp(family, target, appCheck, { listens, protocol, closedPorts, names })
  // What follows would only be about an address that is nobody's here.
  if (!isOwnAddress(target.address)) return [app]
  const { address } = target
  const text = formatIpAddress(address)
  const routing = await checkRouting(family, target, protocol, mark, names)
  if (protocol === 'udp') {
    return [app, routing, await once(probes, `datagrams ${text} ${mark}`, () => checkDatagrams(family, target, mark))]
  }
  return [
    app,
    routing,
    await once(probes, `connection ${text} ${mark}`, () => checkConnection(family, target, mark)),
    ...(family === 6 && classifyAddress(address) === 'loopback'
      ? [await once(probes, `own ${text}`, () => checkOwnConnections(target))]
      : []),
  ]
}

/** Most listeners have their app on the same address, and a connection that fails takes a second and more. */
async function once(probes: Map<string, Finding>, key: string, check: () => Promise<Finding>): Promise<Finding> {
  const finding = probes.get(key) ?? (await check())
  probes.set(key, finding)
  return finding
}

function targetsOf(
  { target4, target6 }: DoctorListener,
  families: readonly Family[],
): { readonly family: Family; readonly target: Endpoint | null }[] {
  return families.map((family) => ({ family, target: family === 4 ? target4 : target6 }))
}

/** The kernel's own answer: a capability counts only in the user namespace that the network belongs to. */
function checkTransparent(): Finding {
  const name = 'capability-net-raw'
  const fd = openStream(4)
  const result = fd < 0 ? fd : setTransparent(fd, 4)
  if (fd >= 0) close(fd)
  if (result >= 0) return ok(name, `user ${process.geteuid?.()} may connect from the clients' addresses`)
  return fail(
    name,
    `user ${process.geteuid?.()} may not connect from the clients' addresses (${errnoName(result)})`,
    'run as root, or add AmbientCapabilities=CAP_NET_RAW to the unit',
  )
}

function checkAllowedSubnets(
  trust: DoctorListener['trust'],
  names: SettingNames,
  readAllowedSubnets: ReadAllowedSubnets,
): Finding {
  const name = 'allowed-subnets'
  if (trust.kind === 'everyone') {
    return warn(
      name,
      'everyone who can reach the port can choose the address that the app sees',
      `give the subnets of your edges with ${names.allowedSubnets}, unless a firewall limits who can connect`,
    )
  }
  if (trust.kind === 'controller') return ok(name, 'the edges of the controller')
  if (trust.kind === 'subnets') return ok(name, `${trust.subnets.length} in the configuration file`)
  try {
    return ok(name, `${readAllowedSubnets(trust.path).length} in ${trust.path}`)
  } catch (error) {
    return fail(name, messageOf(error), `correct "${trust.path}"`)
  }
}

/** Only root sees the firewall itself; others trust what host-setup wrote down. */
async function portsClosedByFirewall(): Promise<readonly number[]> {
  const { firewall } = readSetupState()
  if (firewall === undefined) return []
  const found = await readFirewall()
  const isInForce = found.kind === 'present' ? found.isAs(firewall) : found.kind === 'not-permitted'
  return isInForce ? firewall.appPorts : []
}
