import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import { Lab } from '../../src/lab/lab.ts'
import type { RunResult } from '../../src/linux/run.ts'
import { shell } from '../rig/shell.ts'
import { skipWithout } from '../rig/skip.ts'
import { TRUEPEER } from '../rig/truepeer.ts'

const STATE_FILE = '/run/truepeer/host-setup-$(readlink /proc/self/ns/net | tr -dc 0-9).json'

/** A backend host and one that reaches it from outside, with nothing set up. */
export async function bareHosts(t: TestContext): Promise<{ readonly backend: Host; readonly outside: Host }> {
  const lab = new Lab()
  t.after(() => lab.close())
  const outside = await lab.addHost('outside')
  const backend = await lab.addHost('backend')
  await lab.link(
    { host: outside, addresses: ['35.191.0.9/16', '2001:db8:35::9/64'], routes: ['10.128.0.0/20', '2001:db8:10::/64'] },
    {
      host: backend,
      addresses: ['10.128.0.2/20', '2001:db8:10::2/64'],
      routes: ['35.191.0.0/16', '2001:db8:35::/64', 'default via 35.191.0.9', 'default via 2001:db8:35::9'],
    },
  )
  // The kernel gives the number of a namespace that has ended to a new one: this may be another test's.
  await shell(backend, `rm -f ${STATE_FILE}`)
  return { backend, outside }
}

/** Runs `truepeer` with words separated by spaces on a host. */
export function truepeer(host: Host, words: string, wrapper: readonly string[] = []): Promise<RunResult> {
  const [program, ...args] = [...wrapper, TRUEPEER, ...words.split(' ')]
  return host.run(program, args)
}

/** All that host-setup may touch, to compare before and after: an empty table and a missing one are the same. */
export async function networkState(host: Host): Promise<string> {
  const nft = skipWithout('nft') === false ? '/usr/sbin/nft list ruleset' : 'true'
  return await shell(
    host,
    'for f in -4 -6; do ip $f rule; ip $f route show table 100; ip $f route show table 200; done 2>/dev/null; ' +
      `cat /proc/sys/net/ipv4/tcp_migrate_req; ${nft}; ` +
      `ls ${STATE_FILE} 2>/dev/null || echo 'no state'`,
  )
}

/** Runs `truepeer`, which has to succeed; returns what it printed. */
export async function succeeds(host: Host, words: string): Promise<string> {
  const { exitCode, stdout, stderr } = await truepeer(host, words)
  assert.equal(exitCode, 0, `${words}: ${stdout}${stderr}`)
  return stdout
}

/** Runs `truepeer`, which has to fail with such a message. */
export async function fails(host: Host, words: string, message: RegExp, exitCode = 1): Promise<void> {
  const result = await truepeer(host, words)
  assert.equal(result.exitCode, exitCode, `${words}: ${result.stdout}${result.stderr}`)
  assert.match(result.stdout + result.stderr, message)
}
