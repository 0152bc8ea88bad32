import { type Endpoint, formatEndpoint, type Protocol } from '../address/endpoint.ts'
import { TOKEN_CREDENTIAL } from './service-manager.ts'
import { credentialSetting, quoteAssignment, quoteCommandLine } from './systemd-words.ts'

/** What the units of an agent depend on. */
export type AgentUnitsOptions = {
  /** Name of the service without ".service"; the others are derived from it. */
  readonly name: string
  /** The program as it will be found on the host that the units are for. */
  readonly program: string
  /** The folder of node, where it is not one that systemd searches. */
  readonly nodeDirectory: string | undefined
  /** The words behind `truepeer agent`. */
  readonly agentArgv: readonly string[]
  /** The words behind `truepeer host-setup apply`. */
  readonly hostSetupArgv: readonly string[]
  /** undefined: a user that exists only while the service runs. */
  readonly user: string | undefined
  readonly ports: readonly UnitPort[]
  /** How many listening sockets the agent takes. */
  readonly workers: number
  /** 0: for ever. */
  readonly drainTimeoutMs: number
  /** systemd opens the ports. */
  readonly hasSocketUnit: boolean
  /** undefined: it follows no controller. */
  readonly controller: { readonly tokenFile: string | undefined } | undefined
}

/** A listening port. */
export type UnitPort = { readonly listen: Endpoint; readonly protocols: readonly Protocol[] }

/** A unit file: its name and its text. */
export type Unit = { readonly fileName: string; readonly text: string }

const PROTOCOLS = ['tcp', 'udp'] as const
const SOCKET_TEXTS = { tcp: streamSocketText, udp: datagramSocketText } as const
/** How long systemd waits beyond the agent's own limit before it kills. */
const STOP_GRACE_SEC = 15
const WATCHDOG_SEC = 30
/** Ports below need CAP_NET_BIND_SERVICE (ip-sysctl, ip_unprivileged_port_start); the units may be for another host. */
const UNPRIVILEGED_PORT_START = 1_024

/** The unit files of an agent: the set-up of the host, the service, and the socket where asked for. */
export function agentUnits(options: AgentUnitsOptions): Unit[] {
  return [
    { fileName: setupUnit(options.name), text: setupText(options) },
    { fileName: `${options.name}.service`, text: serviceText(options) },
    ...socketUnits(options).map(({ fileName, protocol }) => ({ fileName, text: SOCKET_TEXTS[protocol](options) })),
  ]
}

/** Names of all the files that {@link agentUnits} may give for a name. */
export function agentUnitFileNames(name: string): string[] {
  return [setupUnit(name), `${name}.service`, ...PROTOCOLS.map((protocol) => socketUnit(name, protocol))]
}

/** The socket units among them: one for each protocol, since what suits the sockets of one harms the other's. */
export function socketUnits({
  name,
  hasSocketUnit,
  ports,
}: Pick<AgentUnitsOptions, 'name' | 'hasSocketUnit' | 'ports'>): readonly {
  readonly fileName: string
  readonly protocol: Protocol
}[] {
  const used = PROTOCOLS.filter(
    (protocol) => hasSocketUnit && ports.some(({ protocols }) => protocols.includes(protocol)),
  )
  return used.map((protocol) => ({ fileName: socketUnit(name, protocol), protocol }))
}

function socketUnit(name: string, protocol: Protocol): string {
  return protocol === 'tcp' ? `${name}.socket` : `${name}-udp.socket`
}

function setupUnit(name: string): string {
  return `${name}-setup.service`
}

function environment(nodeDirectory: string | undefined): string[] {
  if (nodeDirectory === undefined) return []
  const path = `${nodeDirectory}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`
  return [`Environment=${quoteAssignment('PATH', path)}`]
}

function setupText({ name, program, nodeDirectory, hostSetupArgv }: AgentUnitsOptions): string {
  return lines([
    '[Unit]',
    `Description=Host set-up for ${name}: routing for the answers of the app`,
    // Those that start later would remove what they do not know.
    'After=systemd-sysctl.service systemd-networkd.service NetworkManager.service nftables.service',
    'StartLimitIntervalSec=0',
    '',
    '[Service]',
    '# It goes on: a VPN that starts later puts its rules in front, and a firewall that is loaded again removes others.',
    'Type=notify',
    'NotifyAccess=main',
    'Restart=always',
    'RestartSec=5s',
    ...environment(nodeDirectory),
    `ExecStart=${quoteCommandLine([program, 'host-setup', 'apply', '--watch', ...hostSetupArgv])}`,
    '# There is no ExecStop: taking the routing away would cut the connections of clients.',
    '# To remove it for good, stop this service, and run: truepeer host-setup remove',
    'RuntimeDirectory=truepeer',
    'RuntimeDirectoryPreserve=yes',
    'CapabilityBoundingSet=CAP_NET_ADMIN',
    'NoNewPrivileges=yes',
    'ProtectSystem=strict',
    'ProtectHome=read-only',
    'PrivateTmp=yes',
    'PrivateDevices=yes',
    'ProtectControlGroups=yes',
    'RestrictAddressFamilies=AF_UNIX AF_NETLINK',
    'RestrictNamespaces=yes',
    'LockPersonality=yes',
    'SystemCallArchitectures=native',
    '',
    '[Install]',
    'WantedBy=multi-user.target',
  ])
}

function serviceText(options: AgentUnitsOptions): string {
  const { name, program, nodeDirectory, agentArgv, user, hasSocketUnit, drainTimeoutMs, ports } = options
  const sockets = socketUnits(options).map(({ fileName }) => fileName)
  // With sockets from systemd, the ports are open already.
  const bindsPrivileged = !hasSocketUnit && ports.some(({ listen }) => listen.port < UNPRIVILEGED_PORT_START)
  const capabilities = bindsPrivileged ? 'CAP_NET_RAW CAP_NET_BIND_SERVICE' : 'CAP_NET_RAW'
  const stopSec = drainTimeoutMs === 0 ? 'infinity' : `${Math.ceil(drainTimeoutMs / 1_000) + STOP_GRACE_SEC}s`
  return lines([
    '[Unit]',
    `Description=truepeer agent (${name}): shows the app the addresses of its clients`,
    // Not Requires: running the set-up again would stop the agent, and with it the connections of clients.
    `Wants=${setupUnit(name)} network-online.target`,
    `After=${setupUnit(name)} network-online.target`,
    ...sockets.flatMap((unit) => [`Requires=${unit}`, `After=${unit}`]),
    'StartLimitIntervalSec=0',
    '',
    '[Service]',
    'Type=notify',
    'NotifyAccess=main',
    ...environment(nodeDirectory),
    `ExecStart=${quoteCommandLine([program, 'agent', ...agentArgv])}`,
    'ExecReload=kill -HUP $MAINPID',
    'Restart=always',
    'RestartSec=1s',
    '# A wrong command line does not get better.',
    'RestartPreventExitStatus=2',
    `WatchdogSec=${WATCHDOG_SEC}s`,
    'KillMode=mixed',
    `TimeoutStopSec=${stopSec}`,
    // The agent accepts until nobody waits any more.
    ...(hasSocketUnit ? ['NonBlocking=yes'] : []),
    '',
    ...(user === undefined ? ['DynamicUser=yes'] : [`User=${user}`]),
    `AmbientCapabilities=${capabilities}`,
    `CapabilityBoundingSet=${capabilities}`,
    'LimitNOFILE=1048576',
    `RuntimeDirectory=${name}`,
    ...controllerSettings(options),
    'UMask=0077',
    '',
    'NoNewPrivileges=yes',
    'ProtectSystem=strict',
    'ProtectHome=yes',
    'PrivateTmp=yes',
    'PrivateDevices=yes',
    'ProtectKernelTunables=yes',
    'ProtectKernelModules=yes',
    'ProtectKernelLogs=yes',
    'ProtectControlGroups=yes',
    'ProtectClock=yes',
    'ProtectHostname=yes',
    'ProtectProc=invisible',
    'RemoveIPC=yes',
    'RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK',
    'RestrictNamespaces=yes',
    'RestrictRealtime=yes',
    'RestrictSUIDSGID=yes',
    'LockPersonality=yes',
    'SystemCallArchitectures=native',
    '# @pkey: node protects the code that it compiles with memory keys.',
    'SystemCallFilter=@system-service @pkey',
    'SystemCallErrorNumber=EPERM',
    '# Not MemoryDenyWriteExecute: node compiles JavaScript while it runs.',
    '',
    '[Install]',
    'WantedBy=multi-user.target',
  ])
}

/** A place for the last addresses of the edges, and the token. */
function controllerSettings({ name, controller }: AgentUnitsOptions): string[] {
  if (controller === undefined) return []
  const state = [`StateDirectory=${name}`, 'StateDirectoryMode=0700']
  const { tokenFile } = controller
  if (tokenFile === undefined) return state
  return [
    ...state,
    '# systemd reads the file of the token as root, when it starts the service: a new token needs a restart.',
    `LoadCredential=${credentialSetting(TOKEN_CREDENTIAL, tokenFile)}`,
  ]
}

function streamSocketText(options: AgentUnitsOptions): string {
  return socketText(options, 'tcp', 'ListenStream', ['NoDelay=yes', 'Backlog=65535'])
}

function datagramSocketText(options: AgentUnitsOptions): string {
  return socketText(options, 'udp', 'ListenDatagram', [
    '# What comes while the agent is busy, or replaced, waits here; without the privilege of systemd it would be less.',
    'ReceiveBuffer=8M',
  ])
}

function socketText(
  { name, ports, workers }: AgentUnitsOptions,
  protocol: Protocol,
  setting: 'ListenStream' | 'ListenDatagram',
  settings: readonly string[],
): string {
  const listens = ports
    .filter(({ protocols }) => protocols.includes(protocol))
    .map(({ listen }) => formatEndpoint(listen))
  return lines([
    '[Unit]',
    `Description=${listens.length === 1 ? 'Port' : 'Ports'}${protocol === 'tcp' ? '' : ' for UDP'} of the truepeer agent (${name})`,
    '',
    '[Socket]',
    // One for each worker, as the agent itself would open them.
    ...listens.flatMap((listen) => Array.from({ length: workers }, () => `${setting}=${listen}`)),
    'ReusePort=yes',
    'BindIPv6Only=both',
    ...settings,
    `Service=${name}.service`,
    '',
    '[Install]',
    'WantedBy=sockets.target',
  ])
}

function lines(all: readonly string[]): string {
  return `${all.join('\n')}\n`
}
