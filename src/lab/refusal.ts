import { readFileSync } from 'node:fs'

/** Kernel settings that keep an ordinary user from having namespaces: the value that does, and the remedy. */
const REFUSALS = [
  {
    path: '/proc/sys/kernel/unprivileged_userns_clone',
    refusing: '0',
    remedy: 'sysctl -w kernel.unprivileged_userns_clone=1',
  },
  {
    path: '/proc/sys/kernel/apparmor_restrict_unprivileged_userns',
    refusing: '1',
    remedy: 'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
  },
  { path: '/proc/sys/user/max_user_namespaces', refusing: '0', remedy: 'sysctl -w user.max_user_namespaces=10000' },
]

/** The kernel does not let this user have namespaces; the message names the remedy. */
export class NamespacesRefusedError extends Error {
  /** @param refusal what was said */
  constructor(refusal: string) {
    const refusing = REFUSALS.filter((setting) => settingAt(setting.path) === setting.refusing)
    const allow = refusing.map(({ remedy }) => `as root, allow it with "${remedy}"`)
    const otherwise =
      process.getuid?.() === 0
        ? 'in a container, start the container with "--privileged"'
        : 'run this as root; in a container, start the container with "--privileged"'
    super(`The kernel refuses private namespaces (${refusal}); ${[...allow, otherwise].join(', or ')}`)
    this.name = 'NamespacesRefusedError'
  }
}

function settingAt(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    // Not every kernel has every one of them.
    return undefined
  }
}
