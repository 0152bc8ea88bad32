import { readFileSync } from 'node:fs'
import { classifyAddress } from '../address/address-class.ts'
import { type Endpoint, formatEndpoint, type Protocol } from '../address/endpoint.ts'
import { openDatagrams } from '../linux/datagram.ts'
import { EADDRINUSE, errnoName } from '../linux/errno.ts'
import { bindTo, close, openStream, setReuseAddress } from '../linux/socket.ts'
import { CAP_NET_BIND_SERVICE, hasCapability } from './capabilities.ts'
import { type Finding, fail, nameFor, ok, warn } from './finding.ts'
import { listenersOn } from './listener-programs.ts'
import type { SettingNames } from './setting-names.ts'
import { readSysctl } from './sysctl.ts'

const NAME = 'listen'
const NEEDS_CAPABILITY = 'run this as root or with CAP_NET_BIND_SERVICE'
const OTHER_RULE = 'give the forwarding rule another address or port'
/** The program's first file, as node is given it; earlier versions began with the second one. */
const ENTRY = /\/bin\/(?:start|truepeer)\.js$/

/** Checks that the agent's port is free, or an agent's already. */
export async function checkListen(
  listen: Endpoint,
  protocol: Protocol,
  keepsClientPorts: boolean,
  names: SettingNames,
): Promise<Finding> {
  const name = nameFor(protocol, NAME)
  const text = formatEndpoint(listen)
  const result = tryBind(listen, protocol)
  const otherwise = `name another address with ${names.listen}`
  if (result === EADDRINUSE) return await explainInUse(listen, protocol, 'agent', otherwise)
  if (result < 0) {
    const remedies: Record<string, string> = {
      EACCES: NEEDS_CAPABILITY,
      EADDRNOTAVAIL: `name an address of this host with ${names.listen}; "ip address" lists them`,
    }
    const error = errnoName(result)
    return fail(name, `${text}: ${error}`, remedies[error] ?? otherwise)
  }
  if (classifyAddress(listen.address) === 'unspecified' && keepsClientPorts) {
    const detail = `${text} is free, but a listener on every address takes port ${listen.port} away from clients`
    return warn(name, detail, `name one address of this host with ${names.listen}`)
  }
  return ok(name, `${text} is free`)
}

/** Only bound, never listening: a second listener would take clients from a running agent. */
function tryBind(listen: Endpoint, protocol: Protocol): number {
  const { family } = listen.address
  const fd = protocol === 'tcp' ? openStream(family) : openDatagrams(family)
  if (fd < 0) return fd
  // Ports whose connections are in TIME_WAIT are free for a listener; with UDP it would share the port with others.
  let result = protocol === 'tcp' ? setReuseAddress(fd) : 0
  result ||= bindTo(fd, listen.address, listen.port)
  close(fd)
  return result
}

/** Checks that the address and port of a frontend are an edge's, or can be. */
export async function checkFrontend(listen: Endpoint, protocol: Protocol, isAssigned: boolean): Promise<Finding> {
  const name = nameFor(protocol, NAME)
  const text = formatEndpoint(listen)
  const result = tryBind(listen, protocol)
  if (result === EADDRINUSE) return await explainInUse(listen, protocol, 'edge', OTHER_RULE)
  if (result >= 0) return ok(name, `${text} is free`)
  const error = errnoName(result)
  if (error === 'EACCES') return fail(name, `${text}: ${error}`, NEEDS_CAPABILITY)
  if (error !== 'EADDRNOTAVAIL') return fail(name, `${text}: ${error}`, OTHER_RULE)
  if (isAssigned) return ok(name, `${text}: the edge adds the address to this host`)
  const detail = `${text}: this host does not have the address, so clients reach it only once it is routed here`
  return warn(name, detail, 'add the address to this host, or give --assign-addresses')
}

async function explainInUse(
  listen: Endpoint,
  protocol: Protocol,
  role: 'agent' | 'edge',
  otherwise: string,
): Promise<Finding> {
  const name = nameFor(protocol, NAME)
  const text = formatEndpoint(listen)
  const holders = await listenersOn(listen.port, protocol)
  const own = holders.find(({ pid }) => isOurs(pid, role))
  if (own !== undefined) return ok(name, `an ${role} listens on ${text} (pid ${own.pid})`)
  if (holders.length === 0) {
    const remedy = `if it is not an ${role}, stop it; run this as root to see which program it is`
    return warn(name, `a program listens on ${text} already`, remedy)
  }
  const names = [...new Set(holders.map(({ name, pid }) => `${name} (pid ${pid})`))].join(', ')
  return fail(name, `${text} is taken by ${names}`, `stop that program, or ${otherwise}`)
}

function isOurs(pid: string, role: 'agent' | 'edge'): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    return words.some((word) => ENTRY.test(word)) && words.includes(role)
  } catch {
    return false
  }
}

/** Checks the privilege for ports that are not everyone's (ip-sysctl, ip_unprivileged_port_start). */
export function checkBindCapability(listens: readonly Endpoint[]): Finding {
  const name = 'capability-net-bind-service'
  const first = Number(readSysctl('net.ipv4.ip_unprivileged_port_start') ?? 1024)
  const ports = [...new Set(listens.map(({ port }) => port))]
  const privileged = ports.filter((port) => port < first)
  if (ports.length === 0) return ok(name, 'there is no port yet')
  if (privileged.length === 0) return ok(name, `${portsNeed(ports)} none`)
  if (hasCapability(CAP_NET_BIND_SERVICE)) return ok(name, `effective; ${portsNeed(privileged)} it`)
  return fail(
    name,
    `missing; ${portsNeed(privileged)} it`,
    'run as root, or add AmbientCapabilities=CAP_NET_BIND_SERVICE',
  )
}

function portsNeed(ports: readonly number[]): string {
  return ports.length === 1 ? `port ${ports[0]} needs` : `ports ${ports.join(', ')} need`
}
