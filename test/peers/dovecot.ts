import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import type { Program } from '../../src/lab/program.ts'
import { testDirectory } from '../rig/directory.ts'
import { eventually } from '../rig/eventually.ts'

/** The only account. */
export const MAIL_USER = 'alice'
export const MAIL_PASSWORD = 'wonderland'

/** Debian's user "mail"; Dovecot serves no mail of root's. */
const MAIL_ID = 8

/** Starts Dovecot with IMAP and POP3 in the clear on these ports of `address`; the log comes on its output. */
export async function startDovecot(
  t: TestContext,
  host: Host,
  address: string,
  ports: { readonly imap: number; readonly pop3: number },
): Promise<Program> {
  const directory = testDirectory(t)
  // Its login processes run as another user.
  chmodSync(directory, 0o755)
  const mail = join(directory, 'mail')
  mkdirSync(mail)
  chownSync(mail, MAIL_ID, MAIL_ID)
  writeFileSync(join(directory, 'users'), `${MAIL_USER}:{PLAIN}${MAIL_PASSWORD}:${MAIL_ID}:${MAIL_ID}::${mail}::\n`)
  const path = join(directory, 'dovecot.conf')
  writeFileSync(
    path,
    `base_dir = ${directory}/run
state_dir = ${directory}/state
log_path = /dev/stderr
protocols = imap pop3
ssl = no
disable_plaintext_auth = no
first_valid_uid = 1
default_internal_user = dovecot
default_login_user = dovenull
default_internal_group = dovecot
mail_location = maildir:${mail}
auth_verbose = yes
passdb {
  driver = passwd-file
  args = ${directory}/users
}
userdb {
  driver = passwd-file
  args = ${directory}/users
}
service imap-login {
  chroot =
  inet_listener imap {
    address = ${address}
    port = ${ports.imap}
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  chroot =
  inet_listener pop3 {
    address = ${address}
    port = ${ports.pop3}
  }
  inet_listener pop3s {
    port = 0
  }
}
service anvil {
  chroot =
}
`,
  )
  const program = host.start('dovecot', ['-F', '-c', path])
  await eventually(
    `Dovecot listens\n${program.texts().join('\n')}`,
    async () => (await host.run('ss', ['-Htln', 'sport', '=', `:${ports.pop3}`])).stdout !== '',
    10_000,
  )
  return program
}
