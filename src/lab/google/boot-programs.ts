import type { StartedProgram } from '../../linux/run.ts'

/** Google gives machines about as long to shut down. */
const SHUTDOWN_MS_MAX = 90_000

/** What boots, and shuts down again: its programs run until it ends. */
export type BootingMachine = { startOnConsole(program: string, args: readonly string[]): StartedProgram }

/** Google's guest agent: users for the ssh keys in the metadata, host keys. It says much, so it has a log of its own. */
const GUEST_AGENT = `
command -v google_guest_agent >/dev/null || exit 0
mkdir -p /etc/sudoers.d
exec google_guest_agent >/var/log/google-guest-agent.log 2>&1
`

/** The ssh server, where there is one. The guest agent makes host keys at the first boot, and they are to stay the same. */
const SSH_SERVER = `
[ -x /usr/sbin/sshd ] || exit 0
keys() { [ -e /etc/ssh/ssh_host_rsa_key.pub ] && [ -e /etc/ssh/ssh_host_ed25519_key.pub ] && [ -e /etc/ssh/ssh_host_ecdsa_key.pub ]; }
tries=0
while command -v google_guest_agent >/dev/null && ! keys && [ $tries -lt 100 ]; do
  sleep 0.2
  tries=$((tries + 1))
done
ssh-keygen -A >/dev/null
mkdir -p /run/sshd
exec /usr/sbin/sshd -D
`

/** Google's runner of scripts from the metadata, or ours where that is not installed: `$1`, for node. */
const METADATA_SCRIPTS = `
if command -v google_metadata_script_runner >/dev/null; then exec google_metadata_script_runner "$2"; fi
exec node "$1" "$2"
`

/**
 * Starts what an instance of Google's runs when it boots.
 *
 * @param checkout where the machine has this program
 */
export function startBootPrograms(machine: BootingMachine, checkout: string): void {
  for (const script of [GUEST_AGENT, SSH_SERVER]) machine.startOnConsole('sh', ['-c', script])
  startMetadataScripts(machine, checkout, 'startup')
}

/** Runs the shutdown scripts of an instance: to their end, or for 90 s. */
export async function runShutdownScripts(
  machine: BootingMachine,
  checkout: string,
  limitMs = SHUTDOWN_MS_MAX,
): Promise<void> {
  const scripts = startMetadataScripts(machine, checkout, 'shutdown')
  const timer = setTimeout(() => scripts.killAll(), limitMs)
  await scripts.exited.finally(() => clearTimeout(timer))
}

function startMetadataScripts(machine: BootingMachine, checkout: string, when: 'startup' | 'shutdown'): StartedProgram {
  const ours = `${checkout}/dist/src/bin/run-metadata-scripts.js`
  return machine.startOnConsole('sh', ['-c', METADATA_SCRIPTS, 'sh', ours, when])
}
