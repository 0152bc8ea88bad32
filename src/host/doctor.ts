import { readFileSync } from 'node:fs'
import { classifyAddress } from '../address/address-class.ts'
import type { Endpoint } from '../address/endpoint.ts'
import { errnoName } from '../linux/errno.ts'
import { close, openStream, setTransparent } from '../linux/socket.ts'
import { CAP_SYS_ADMIN, CAP_SYS_RESOURCE, hasCapability } from './capabilities.ts'
import { checkApp } from './check-app.ts'
import {
  checkConntrack,
  checkEphemeralPorts,
  checkMigrateRequests,
  checkNonlocalBind,
  checkOpenFiles,
  checkPipes,
  checkRpFilter,
} from './check-kernel.ts'
import { checkBindCapability, checkListen } from './check-listen.ts'
import { checkConnection, checkNetworkd, checkRouting } from './check-routing.ts'
import { type Finding, fail, findingsToJson, formatFindings, isAllRight, ok, warn } from './finding.ts'
import { readFirewall } from './firewall.ts'
import type { Family } from './routing.ts'
import { readSetupState } from './setup-state.ts'
import { readSysctl } from './sysctl.ts'

/** What a doctor has to know of an agent: a part of what its command line says. */
export type DoctorOptions = {
  readonly listen: Endpoint
  readonly target4: Endpoint
  readonly target6: Endpoint
  /** undefined: everyone is trusted. */
  readonly allowedSubnetsFile: string | undefined
  readonly sourcePort: 'preserve-or-ephemeral' | 'preserve' | 'ephemeral'
  readonly mark: number
  /** 0: no limit of its own. */
  readonly maxConnections: number
  readonly families: readonly Family[]
  readonly json: boolean
}

/** Reads a list of trusted edges as an agent does; throws an Error with the remedy when an agent would not start. */
export type ReadAllowedSubnets = (path: string) => { readonly length: number }

/**
 * Runs `truepeer doctor agent`; `print` takes its standard output.
 *
 * @returns the exit status: 0 if the chain will work, else 1
 * @throws HostError when a program is missing that the checks need
 */
export async function runDoctor(
  options: DoctorOptions,
  readAllowedSubnets: ReadAllowedSubnets,
  print: (text: string) => void,
): Promise<number> {
  const findings = await examineAgent(options, readAllowedSubnets)
  print(options.json ? findingsToJson(findings) : formatFindings(findings))
  return isAllRight(findings) ? 0 : 1
}

/** Makes all checks, also after one that fails; changes nothing on the host. @throws HostError */
export async function examineAgent(options: DoctorOptions, readAllowedSubnets: ReadAllowedSubnets): Promise<Finding[]> {
  const keepsClientPorts = options.sourcePort !== 'ephemeral'
  const targets = options.families.map((family) => ({
    family,
    target: family === 4 ? options.target4 : options.target6,
  }))
  const isAppOnLoopback = targets.every(({ target }) => classifyAddress(target.address) === 'loopback')
  const closedPorts = await portsClosedByFirewall()
  const findings: Finding[] = [
    checkTransparent(),
    checkBindCapability(options.listen),
    checkAllowedSubnets(options.allowedSubnetsFile, readAllowedSubnets),
    await checkListen(options.listen, keepsClientPorts),
  ]
  for (const { family, target } of targets) {
    findings.push(checkApp(family, target, options.listen, closedPorts))
    findings.push(await checkRouting(family, target))
    findings.push(await checkConnection(family, target, options.mark))
  }
  return [
    ...findings,
    checkNonlocalBind(readSysctl),
    checkEphemeralPorts(readSysctl, keepsClientPorts),
    checkRpFilter(readSysctl, isAppOnLoopback),
    checkConntrack(readSysctl),
    checkMigrateRequests(readSysctl),
    checkPipes(readSysctl, hasCapability(CAP_SYS_RESOURCE) || hasCapability(CAP_SYS_ADMIN)),
    checkOpenFiles(readFileSync('/proc/self/limits', 'utf8'), options.maxConnections),
    checkNetworkd(),
  ]
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

function checkAllowedSubnets(file: string | undefined, readAllowedSubnets: ReadAllowedSubnets): Finding {
  const name = 'allowed-subnets'
  if (file === undefined) {
    return warn(
      name,
      'everyone who can reach the port may say whom the app sees',
      'name the subnets of your edges in a file for --allowed-subnets, unless a firewall does it',
    )
  }
  try {
    return ok(name, `${readAllowedSubnets(file).length} in ${file}`)
  } catch (error) {
    return fail(name, error instanceof Error ? error.message : String(error), `correct "${file}"`)
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
