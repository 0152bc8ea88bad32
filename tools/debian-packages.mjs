/** The Debian packages that a demo or a test needs, with the reason for each, and their installation. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { stopWithMessage } from './program.mjs'

/** What a checkout is made ready for; each purpose needs the packages of those before it as well. */
export const purposes = ['demo:small', 'demo', 'test', 'test:full']

/**
 * `isPresent` looks for what the package brings rather than asking dpkg: a compiler from elsewhere serves as well. Not
 * every release has an optional one; what needs it is left out. What would serve others after the next start of the
 * machine, such as sshd, only the full run installs.
 *
 * @type {{ name: string, since: string, reason: string, isPresent: () => boolean, isOptional?: true }[]}
 */
const packages = [
  { name: 'gcc', since: 'demo:small', reason: 'compiles the addon in native/', isPresent: () => hasCommand('cc') },
  {
    name: 'libc6-dev',
    since: 'demo:small',
    reason: 'C and kernel headers for the addon',
    isPresent: () => existsSync('/usr/include/stdio.h'),
  },
  {
    name: 'iproute2',
    since: 'demo:small',
    reason: 'ip: hosts as network namespaces',
    isPresent: () => hasCommand('ip'),
  },
  {
    name: 'util-linux',
    since: 'demo:small',
    reason: 'unshare and setpriv: keep all of it away from the network of this machine',
    isPresent: () => hasCommand('unshare') && hasCommand('setpriv'),
  },
  {
    name: 'ncat',
    since: 'demo:small',
    reason: 'the unmodified app and its clients',
    isPresent: () => hasCommand('ncat'),
  },
  {
    name: 'nftables',
    since: 'demo',
    reason: 'nft: the firewalls of hosts',
    isPresent: () => hasCommand('nft'),
  },
  {
    name: 'iptables',
    since: 'test',
    reason: 'iptables: ports that a firewall publishes for a container',
    isPresent: () => hasCommand('iptables'),
  },
  {
    name: 'libcap2-bin',
    since: 'demo',
    reason: 'setcap: a private copy of node with capabilities',
    isPresent: () => hasCommand('setcap'),
  },
  { name: 'iperf', since: 'demo', reason: 'the traffic of the guide', isPresent: () => hasCommand('iperf') },
  {
    name: 'openssl',
    since: 'demo',
    reason: 'openssl s_client: a client of TLS frontends; certificates for peers',
    isPresent: () => hasCommand('openssl'),
  },
  {
    name: 'postgresql',
    since: 'test:full',
    reason: 'a real app that admits clients by their address',
    isPresent: () => hasFile('/usr/lib/postgresql', 'bin/initdb'),
  },
  {
    name: 'redis-server',
    since: 'test:full',
    reason: 'a real app, and redis-cli as its client',
    isPresent: () => hasCommand('redis-server') && hasCommand('redis-cli'),
  },
  {
    name: 'haproxy',
    since: 'test:full',
    reason: 'a peer that sends and reads headers',
    isPresent: () => hasCommand('haproxy'),
  },
  {
    name: 'nginx',
    since: 'test:full',
    reason: 'a peer that sends and reads headers',
    isPresent: () => hasCommand('nginx'),
  },
  {
    name: 'libnginx-mod-stream',
    since: 'test:full',
    reason: 'the part of nginx that proxies TCP',
    isPresent: () => existsSync('/usr/lib/nginx/modules/ngx_stream_module.so'),
  },
  {
    name: 'sslscan',
    since: 'test:full',
    reason: 'what a scanner finds of each SSL policy',
    isPresent: () => hasCommand('sslscan'),
  },
  {
    name: 'mosquitto',
    since: 'test:full',
    reason: 'a real app behind a TLS frontend',
    isPresent: () => hasCommand('mosquitto'),
  },
  {
    name: 'mosquitto-clients',
    since: 'test:full',
    reason: 'mosquitto_sub and mosquitto_pub: clients of a TLS frontend',
    isPresent: () => hasCommand('mosquitto_sub') && hasCommand('mosquitto_pub'),
  },
  {
    name: 'dovecot-imapd',
    since: 'test:full',
    reason: 'a real app behind edge and agent, which logs the address of its client',
    isPresent: () => existsSync('/usr/lib/dovecot/imap'),
  },
  {
    name: 'dovecot-pop3d',
    since: 'test:full',
    reason: 'the other protocol of the same app',
    isPresent: () => existsSync('/usr/lib/dovecot/pop3'),
  },
  {
    name: 'dnsdist',
    since: 'test:full',
    reason: 'a peer that sends headers in datagrams',
    isPresent: () => hasCommand('dnsdist'),
  },
  {
    name: 'unbound',
    since: 'test:full',
    reason: 'a real app over UDP that admits clients by their address, and a peer that reads headers in datagrams',
    isPresent: () => hasCommand('unbound'),
  },
  ...[
    { name: 'pdns-recursor', command: 'pdns_recursor' },
    { name: 'pdns-server', command: 'pdns_server' },
    { name: 'knot-resolver', command: 'kresd' },
  ].map(({ name, command }) => ({
    name,
    since: 'test:full',
    reason: 'a peer that reads headers in datagrams',
    isPresent: () => hasCommand(command),
  })),
  {
    name: 'pdns-backend-bind',
    since: 'test:full',
    reason: 'the zone files of pdns-server',
    isPresent: () => hasFile('/usr/lib', 'pdns/libbindbackend.so'),
  },
  {
    name: 'bind9-dnsutils',
    since: 'test:full',
    reason: 'dig: a client over UDP and TCP',
    isPresent: () => hasCommand('dig'),
  },
  {
    name: 'wireguard-go',
    since: 'test:full',
    reason: 'a real app over UDP, without the module of the kernel',
    isPresent: () => hasCommand('wireguard-go'),
  },
  {
    name: 'wireguard-tools',
    since: 'test:full',
    reason: 'wg: sets that app up, and says where its peers are',
    isPresent: () => hasCommand('wg'),
  },
  {
    name: 'iperf3',
    since: 'demo',
    reason: 'the app of the startup script',
    isPresent: () => hasCommand('iperf3'),
  },
  {
    name: 'ulogd2',
    since: 'demo',
    reason: 'ulogd: the log of new connections in a namespace',
    isPresent: () => hasCommand('ulogd'),
  },
  {
    name: 'shellcheck',
    since: 'test:full',
    reason: 'what is wrong with the startup script',
    isPresent: () => hasCommand('shellcheck'),
    isOptional: true,
  },
  {
    name: 'python3',
    since: 'demo',
    reason: 'the TLS client of the guide',
    isPresent: () => hasCommand('python3'),
  },
  {
    name: 'uidmap',
    since: 'test:full',
    reason: 'newuidmap: the lab of an ordinary user',
    isPresent: () => hasCommand('newuidmap'),
    isOptional: true,
  },
  {
    name: 'openssh-server',
    since: 'test:full',
    reason: 'sshd: logins on the instances of a lab',
    isPresent: () => hasCommand('sshd'),
    isOptional: true,
  },
  {
    name: 'openssh-client',
    since: 'demo',
    reason: 'ssh: what gcloud logs in with',
    isPresent: () => hasCommand('ssh'),
  },
  {
    name: 'go-mmproxy',
    since: 'demo',
    reason: 'what the agent is measured beside',
    isPresent: () => hasCommand('go-mmproxy'),
    isOptional: true,
  },
  { name: 'curl', since: 'demo', reason: 'a client that sends headers', isPresent: () => hasCommand('curl') },
  ...[
    { name: 'ansible', holds: 'ansible_collections/google/cloud' },
    { name: 'python3-google-auth', holds: 'google/auth' },
    { name: 'python3-requests', holds: 'requests' },
    { name: 'python3-googleapi', holds: 'googleapiclient' },
    { name: 'python3-libcloud', holds: 'libcloud' },
  ].map(({ name, holds }) => client(name, `/usr/lib/python3/dist-packages/${holds}`)),
  guest('google-guest-agent', '/usr/bin/google_guest_agent'),
  guest('cloud-init', '/usr/bin/cloud-init'),
  client('ruby-google-api-client', '/usr/share/doc/ruby-google-api-client'),
  client('golang-go', '/usr/bin/go'),
  client('golang-google-api-dev', '/usr/share/gocode/src/google.golang.org/api'),
]

/**
 * What runs inside Google's own machines, and in those of a lab. This machine itself runs none of it: no service is
 * started, and cloud-init stays off where it finds no cloud.
 *
 * @param {string} name
 * @param {string} path
 */
function guest(name, path) {
  return { ...client(name, path), reason: 'software of an instance, which asks the metadata server' }
}

/**
 * A client of the Compute API that others have made.
 *
 * @param {string} name
 * @param {string} path
 */
function client(name, path) {
  const reason = 'a client of the API of the controller'
  return {
    name,
    since: 'test:full',
    reason,
    isPresent: () => existsSync(path),
    isOptional: /** @type {const} */ (true),
  }
}

/**
 * Installs, as root, the packages that a purpose needs and this machine lacks. As another user: says which, and ends
 * the process with exit code 1. Prints nothing when nothing is missing.
 *
 * @param {string} purpose one of `purposes`
 */
export function installMissingDebianPackages(purpose) {
  const missing = packages.filter(
    ({ since, isPresent }) => purposes.indexOf(since) <= purposes.indexOf(purpose) && !isPresent(),
  )
  installRequired(missing.filter(({ isOptional }) => isOptional !== true))
  installOptional(missing.filter(({ isOptional }) => isOptional === true).map(({ name }) => name))
}

/** @param {typeof packages} missing */
function installRequired(missing) {
  if (missing.length === 0) return

  const names = missing.map(({ name }) => name)
  const reasons = missing.map(({ name, reason }) => `  ${name.padEnd(20)} ${reason}`).join('\n')
  if (!hasCommand('apt-get')) {
    stopWithMessage(`set-up: missing, by their Debian names (there is no apt-get here to install them):\n${reasons}`)
  }
  if (process.getuid?.() !== 0) {
    const command = `sudo apt-get update && sudo apt-get install --no-install-recommends ${names.join(' ')}`
    stopWithMessage(
      `set-up: these Debian packages are missing:\n${reasons}\n\nInstall them, then run this again:\n  ${command}`,
    )
  }
  console.log(`set-up: installing Debian packages\n${reasons}`)
  try {
    withoutStartingServices(names, () => {
      // One broken source in the user's lists fails the update; whether that matters, the installation shows.
      const update = runAptGet(['update'])
      const install = runAptGet(['install', '--yes', '--no-install-recommends', ...names])
      if (install.status !== 0) throw new Error(`apt-get failed:\n${update.output}${install.output}`)
    })
  } catch (error) {
    stopWithMessage(`set-up: ${error instanceof Error ? error.message : error}`)
  }
}

/**
 * Installs, as root, one by one what can be had; says what cannot.
 *
 * @param {string[]} names
 */
function installOptional(names) {
  if (names.length === 0) return
  const isRoot = process.getuid?.() === 0 && hasCommand('apt-get')
  if (isRoot) console.log(`set-up: installing Debian packages that this can do without: ${names.join(', ')}`)
  const left = isRoot ? withoutStartingServices(names, () => installOneByOne(names)) : names
  if (left.length > 0)
    console.log(`set-up: what needs these Debian packages is left out, as they are missing: ${left.join(', ')}`)
}

/**
 * @param {string[]} names
 * @returns {string[]} those that could not be installed
 */
function installOneByOne(names) {
  runAptGet(['update'])
  return names.filter((name) => runAptGet(['install', '--yes', '--no-install-recommends', name]).status !== 0)
}

/**
 * Runs `install` while two files keep Debian from starting what it installs, and from making a database cluster. A
 * file that was there before stays as it is; one made here is removed, also after Ctrl-C.
 *
 * @template Result
 * @param {string[]} names
 * @param {() => Result} install
 * @returns {Result}
 */
function withoutStartingServices(names, install) {
  const guards = [{ path: '/usr/sbin/policy-rc.d', mode: 0o755, text: '#!/bin/sh\nexit 101\n' }]
  if (names.includes('postgresql')) {
    const path = '/etc/postgresql-common/createcluster.d/truepeer.conf'
    guards.push({ path, mode: 0o644, text: 'create_main_cluster = false\n' })
  }
  const placed = guards.filter(({ path }) => !existsSync(path))
  // apt-get gets the terminal's signal itself and stops; this process has to live on to take the files away.
  const ignoreSignal = () => {}
  process.on('SIGINT', ignoreSignal)
  process.on('SIGTERM', ignoreSignal)
  try {
    for (const { path, mode, text } of placed) {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, text, { mode })
    }
    return install()
  } finally {
    for (const { path } of placed) rmSync(path, { force: true })
    process.off('SIGINT', ignoreSignal)
    process.off('SIGTERM', ignoreSignal)
  }
}

/** @param {string[]} aptArguments */
function runAptGet(aptArguments) {
  // RUNLEVEL=1 says the same as policy-rc.d to scripts that ask the run level instead (invoke-rc.d(8)).
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const options = ['-qq', '-o', 'Dpkg::Use-Pty=0', '-o', 'DPkg::Lock::Timeout=120']
  const { status, stdout, stderr } = spawnSync('apt-get', [...options, ...aptArguments], { env, encoding: 'utf8' })
  return { status, output: stdout + stderr }
}

/**
 * Whether a program is installed. An ordinary user's PATH on Debian leaves out the sbin folders.
 *
 * @param {string} command
 */
function hasCommand(command) {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin']
  return folders.some((folder) => folder !== '' && existsSync(`${folder}/${command}`))
}

/**
 * Whether any folder inside `parent` (a version number, say) holds `path`.
 *
 * @param {string} parent
 * @param {string} path
 */
function hasFile(parent, path) {
  return existsSync(parent) && readdirSync(parent).some((folder) => existsSync(`${parent}/${folder}/${path}`))
}
