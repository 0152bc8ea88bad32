// Kernel settings that an agent depends on. Each check is a function of the settings, so that tests can give their own.
import { type Finding, fail, ok, warn } from './finding.ts'
import type { SettingNames } from './setting-names.ts'
import { TCP_MIGRATE_REQ } from './sysctl.ts'

const OPEN_FILES_OWN = 64
const OPEN_FILES_USUAL = 20_000

/** Reads a kernel setting by its name for sysctl(8); undefined where there is none. */
export type ReadSetting = (name: string) => string | undefined

/** What Linux, Windows and macOS clients take for their own ports by default. */
const CLIENT_PORTS = [32_768, 65_535] as const
const CONNTRACK_SHARE_MAX = 0.8
/** 64 MiB of pages of 4 KiB: the kernel's own default for users other than root (pipe(7)). */
const PIPE_PAGES_MIN = 16_384

/** A client's port that the agent uses is lost for the host's own connections, and the other way round (docs/threat-model.md). */
export function checkEphemeralPorts(read: ReadSetting, keepsClientPorts: boolean, names: SettingNames): Finding {
  const name = 'ephemeral-ports'
  const [first, last] = (read('net.ipv4.ip_local_port_range') ?? '').split(/\s+/).map(Number)
  const range = `${first} to ${last}`
  if (!keepsClientPorts) return ok(name, `${range}; clients' own ports are not used`)
  if (last < CLIENT_PORTS[0] || first > CLIENT_PORTS[1]) return ok(name, `${range}, which clients rarely use`)
  return warn(
    name,
    `this host's own connections use ports ${range}, as clients do, so both may find their port taken`,
    `sysctl -w net.ipv4.ip_local_port_range="15000 32767" (keep it in /etc/sysctl.d), or give ${names.ephemeralSourcePort}`,
  )
}

/** Strict reverse path filtering does no harm on loopback; an app elsewhere would lose its clients. */
export function checkRpFilter(read: ReadSetting, isAppOnLoopback: boolean): Finding {
  const name = 'rp_filter'
  const value = Math.max(...['all', 'lo'].map((one) => Number(read(`net.ipv4.conf.${one}.rp_filter`) ?? 0)))
  const word = ['off', 'strict', 'loose'][value] ?? String(value)
  if (value !== 1 || isAppOnLoopback) return ok(name, word)
  return warn(name, 'strict, and the app is not on loopback', 'sysctl -w net.ipv4.conf.all.rp_filter=2')
}

/** With it, whoever is on the same network as an interface reaches what listens on 127.0.0.1 (ip-sysctl). */
export function checkRouteLocalnet(interfaces: readonly string[]): Finding {
  const name = 'route_localnet'
  if (interfaces.length === 0) return ok(name, 'off')
  const detail = `on (${interfaces.join(', ')}): neighbours there reach what listens on 127.0.0.1 without the agent`
  const remedy = interfaces.map((one) => `sysctl -w net.ipv4.conf.${one}.route_localnet=0`).join('; ')
  return warn(name, detail, `${remedy}; if containers need it, close the port of the app to all interfaces but lo`)
}

/** With it, bind(2) no longer tells this host's addresses from others, and an agent refuses to start. */
export function checkNonlocalBind(read: ReadSetting): Finding {
  const name = 'ip_nonlocal_bind'
  const settings = ['net.ipv4.ip_nonlocal_bind', 'net.ipv6.ip_nonlocal_bind']
  const bad = settings.filter((setting) => (read(setting) ?? '0') !== '0')
  if (bad.length === 0) return ok(name, '0')
  const detail = `${bad.join(' and ')} on, so the agent cannot recognize this host's own addresses in headers`
  return fail(name, detail, bad.map((setting) => `sysctl -w ${setting}=0`).join('; '))
}

/** A full table of connections drops new ones without a word. @param maxFlows of UDP, each of which takes an entry */
export function checkConntrack(read: ReadSetting, maxFlows = 0): Finding {
  const name = 'conntrack'
  const count = Number(read('net.netfilter.nf_conntrack_count') ?? Number.NaN)
  const max = Number(read('net.netfilter.nf_conntrack_max') ?? Number.NaN)
  if (Number.isNaN(count) || Number.isNaN(max) || max === 0) return ok(name, 'not in use')
  const detail = `${count} of ${max} entries`
  if (count > CONNTRACK_SHARE_MAX * max) {
    return warn(
      name,
      `${detail}: what is new is dropped when it is full`,
      `sysctl -w net.netfilter.nf_conntrack_max=${max * 4}`,
    )
  }
  if (maxFlows <= CONNTRACK_SHARE_MAX * max) return ok(name, detail)
  return warn(
    name,
    `${detail}, and there may be ${maxFlows} clients of UDP, with an entry each: what is new is dropped when it is full`,
    `sysctl -w net.netfilter.nf_conntrack_max=${maxFlows * 2}`,
  )
}

/** Bulk transfers go through pipes, of which users other than root have a limited number (pipe(7)). */
export function checkPipes(read: ReadSetting, isUnlimited: boolean): Finding {
  const name = 'pipes'
  const pages = Number(read('fs.pipe-user-pages-soft') ?? 0)
  if (isUnlimited) return ok(name, 'no limit for this user')
  if (pages === 0 || pages >= PIPE_PAGES_MIN) return ok(name, pages === 0 ? 'no limit' : `${pages} pages`)
  const detail = `${pages} pages for a user other than root: bulk transfers are copied instead of spliced`
  return warn(name, detail, `sysctl -w fs.pipe-user-pages-soft=${PIPE_PAGES_MIN}`)
}

/** An agent that is replaced by a new one loses no client in its queue. */
export function checkMigrateRequests(read: ReadSetting): Finding {
  const name = 'tcp_migrate_req'
  const value = read(TCP_MIGRATE_REQ)
  if (value === '1') return ok(name, '1')
  if (value === undefined)
    return ok(name, 'this kernel does not have it; clients in the queue are lost when an agent is replaced')
  return warn(
    name,
    `${value}: clients in the queue are lost when an agent is replaced`,
    'run "truepeer host-setup apply" as root',
  )
}

/**
 * A connection takes two descriptors, and more while it is spliced; a flow of UDP takes one.
 *
 * @param limits the text of /proc/PID/limits
 */
export function checkOpenFiles(limits: string, maxConnections: number, maxFlows = 0): Finding {
  const name = 'open-files'
  // node raises its own soft limit to the hard one.
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1] ?? '0'
  const limit = hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard)
  const needed = (maxConnections === 0 ? OPEN_FILES_USUAL : maxConnections * 2 + OPEN_FILES_OWN) + maxFlows
  if (limit >= needed) return ok(name, hard)
  const connections = Math.max(0, Math.floor((limit - OPEN_FILES_OWN - maxFlows) / 2))
  return warn(
    name,
    `${hard}: enough for about ${connections} connections`,
    'LimitNOFILE=1048576 in the unit, or "ulimit -Hn"',
  )
}
