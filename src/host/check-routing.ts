import { readFileSync } from 'node:fs'
import { classifyAddress } from '../address/address-class.ts'
import type { Endpoint, Protocol } from '../address/endpoint.ts'
import { formatIpAddress } from '../address/ip-address.ts'
import { findListener } from '../linux/socket-table.ts'
import { type Finding, fail, nameFor, ok, warn } from './finding.ts'
import type { AnswerFlow, Family } from './policy-rules.ts'
import { familyName, readRouting, ruleWords, whereAnyAnswersLeave } from './routing.ts'
import { connectToSelf, reachesSelfAsApp } from './self-connection.ts'
import { exchangeWithSelf } from './self-exchange.ts'
import type { SettingNames } from './setting-names.ts'
import { readSysctl } from './sysctl.ts'

const TABLE_DEFAULT = 100
const SET_UP = 'run "truepeer host-setup apply" as root'

/** Checks that the app's answers to clients stay on this host, as the kernel would route them. @throws HostError */
export async function checkRouting(
  family: Family,
  target: Endpoint,
  protocol: Protocol,
  mark: number,
  names: SettingNames,
): Promise<Finding> {
  const name = nameFor(protocol, `routing-${familyName(family).toLowerCase()}`)
  const address = formatIpAddress(target.address)
  const { inFront } = await readRouting(family, TABLE_DEFAULT)
  const elsewhere = await whereAnyAnswersLeave(family, inFront, address, answersOf(target, protocol, mark))
  if (elsewhere === undefined) return ok(name, `answers from ${address} stay on this host`)
  if (classifyAddress(target.address) !== 'loopback') {
    const detail = `the app is on ${address}, and its answers go elsewhere: ${elsewhere}`
    const remedy =
      family === 4
        ? `bind the app to 127.0.0.1 and name that with ${names.target4}`
        : `bind the app to ::1 and name that with ${names.target6}`
    return fail(name, detail, remedy)
  }
  const { rulePriorities, otherTables, hasRoute } = await readRouting(family, TABLE_DEFAULT)
  const hasRule = rulePriorities.length + otherTables.length > 0
  const missing = hasRule
    ? hasRoute
      ? 'another rule comes before it'
      : 'its table has no route'
    : 'the rule is missing'
  const rule = ruleWords(family, TABLE_DEFAULT).join(' ')
  return fail(name, `${missing} (${rule}); the app's answers would go elsewhere: ${elsewhere}`, SET_UP)
}

/** What is known of the packets of the app: a rule may ask for each of these. */
function answersOf(target: Endpoint, protocol: Protocol, mark: number): AnswerFlow {
  const uid = findListener(target, protocol)?.uid
  const isMarked = protocol === 'tcp' && mark !== 0 && readSysctl('net.ipv4.tcp_fwmark_accept') === '1'
  return {
    protocol,
    fromPort: target.port,
    ...(uid === undefined ? {} : { uid }),
    // Else the mark of the agent's packets is theirs alone (ip-sysctl).
    ...(isMarked ? { mark } : {}),
  }
}

/** Makes a real transparent connection to a listener of our own beside the app. */
export async function checkConnection(family: Family, target: Endpoint, mark: number): Promise<Finding> {
  const name = `transparent-connection-${familyName(family).toLowerCase()}`
  const result = await connectToSelf(target.address, mark)
  if (result.kind === 'connected') return ok(name, `a listener on this host saw ${result.client} as its peer`)
  const detail = `${result.step}: ${result.error}`
  if (result.error === 'EPERM') return fail(name, detail, 'run this as root, or with CAP_NET_RAW as the agent has it')
  if (result.error === 'timeout') {
    const remedy = `${SET_UP}; if the routing is in place, a firewall drops it: look at "nft list ruleset"`
    return fail(name, 'nothing arrived, because the answers did not come back', remedy)
  }
  return fail(name, detail, `look at "ip -${family} address show dev lo": it has to be up, with its loopback address`)
}

/** As {@link checkConnection}, with a datagram and its answer. */
export async function checkDatagrams(family: Family, target: Endpoint, mark: number): Promise<Finding> {
  const name = nameFor('udp', `round-trip-${familyName(family).toLowerCase()}`)
  const result = await exchangeWithSelf(target.address, mark)
  if (result.kind === 'connected') return ok(name, `a socket on this host saw ${result.client}, and was heard there`)
  const detail = `${result.step}: ${result.error}`
  if (result.error === 'EPERM') return fail(name, detail, 'run this as root, or with CAP_NET_RAW as the agent has it')
  if (result.error === 'timeout') {
    const lost = result.step === 'answer' ? 'the answer of an app to a client gets lost' : 'no datagram reaches the app'
    const remedy = `${SET_UP}; if the routing is in place, a firewall drops it: look at "nft list ruleset"`
    return fail(name, lost, remedy)
  }
  return fail(name, detail, `look at "ip -${family} address show dev lo": it has to be up, with its loopback address`)
}

/** Tries what an app must not be able to do: to connect to the address of a client, and find itself on this host. */
export async function checkOwnConnections(target: Endpoint): Promise<Finding> {
  const name = 'own-connections'
  if (!(await reachesSelfAsApp(target.address))) return ok(name, 'the app cannot connect to the address of a client')
  const detail =
    'connections that the app begins to the address of a client, as in active FTP, reach services of this host'
  return warn(name, detail, `install the Debian package nftables, and ${SET_UP}`)
}

/** systemd-networkd removes, whenever it starts, rules that it does not know (networkd.conf(5)). */
export function checkNetworkd(): Finding {
  const name = 'networkd'
  if (!isReadable('/run/systemd/netif/state')) return ok(name, 'systemd-networkd does not run')
  const remedy =
    'write "[Network]" and "ManageForeignRoutingPolicyRules=no" into /etc/systemd/networkd.conf.d/truepeer.conf'
  const files = ['/etc/systemd/networkd.conf', '/etc/systemd/networkd.conf.d/truepeer.conf']
  const isKept = files.some((file) =>
    /^\s*ManageForeignRoutingPolicyRules\s*=\s*(no|false|off|0)\s*$/im.test(read(file)),
  )
  return isKept
    ? ok(name, 'leaves foreign rules alone')
    : warn(name, 'systemd-networkd removes the rules of others when it is started again', remedy)
}

function isReadable(path: string): boolean {
  return read(path) !== ''
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
