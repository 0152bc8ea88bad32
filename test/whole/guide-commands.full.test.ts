// Every command block of README.md and of every guide, from top to bottom, on one host that has all their addresses.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Host } from '../../src/lab/host.ts'
import { Lab } from '../../src/lab/lab.ts'
import type { Program } from '../../src/lab/program.ts'
import { noGcloud } from '../peers/gcloud.ts'
import { testDirectory } from '../rig/directory.ts'
import { eventually } from '../rig/eventually.ts'
import { NEEDS_ROOT } from '../rig/skip.ts'
import { INTERMEDIATE, LEAF, ROOT } from '../rig/ssl-resources.ts'

const ROOT_FOLDER = fileURLToPath(new URL('../../../', import.meta.url)).replace(/\/$/, '')
const PAGES = ['README.md', ...readdirSync(join(ROOT_FOLDER, 'docs/guides')).map((name) => `docs/guides/${name}`)]
const START_TIMEOUT_MS = 60_000

/** What cannot run here, and why. */
const ELSEWHERE: readonly (readonly [command: RegExp, why: string])[] = [
  [/^aws /, 'there is no AWS account'],
  [/www\.cloudflare\.com/, 'the network is out of reach'],
  [/^mv .*edges\.txt\.new/, 'belongs to the command before it'],
  [/^systemctl /, 'systemd does not run in a namespace'],
  [/^go-mmproxy /, 'is another program'],
  [/^npm (run demo|test)\b/, 'tests of their own, and this run itself'],
  [/^dig /, 'the client is another host'],
]

/** What goes on until the page is over, or until the next one of its kind is started. */
const SERVER =
  /(?:^|\s)(?:bin\/)?truepeer (edge|agent|controller) (?!.*--check\b)(?!install|uninstall|token|backup|restore)/
/** An agent on a private copy of node: the page says as whom. */
const AS_TRUEPEER = /^PATH=\/opt\/truepeer\/node/
const SETPRIV = 'setpriv --reuid truepeer --regid truepeer --init-groups'

const LOAD_BALANCER = commandsUnder('docs/guides/controller.md', 'Start it', 'Make a load balancer')

/** What a page takes for granted, as commands. */
const BEFORE: Readonly<Record<string, readonly string[]>> = {
  'docs/guides/terminate-tls.md': [
    "ncat -lk 10.128.0.2 110 -c 'echo hello; sleep 1' > /dev/null 2>&1 &",
    ...LOAD_BALANCER,
  ],
  'docs/guides/api.md': LOAD_BALANCER.slice(0, 1),
  'docs/guides/behind-google-cloud.md': LOAD_BALANCER,
  'docs/guides/run-an-edge.md': [
    "ncat -lk 10.128.0.2 110 -c 'echo hello; sleep 1' > /dev/null 2>&1 &",
    'truepeer edge --config /etc/truepeer/edge.yaml --admin 127.0.0.1:9112',
    'truepeer edge --config /etc/truepeer/edge.yaml --admin unix:/run/truepeer-edge.sock',
  ],
  'docs/guides/several-ports.md': ['truepeer host-setup apply'],
  'docs/guides/troubleshooting.md': ['truepeer host-setup apply'],
}

const SET_UP = `set -e; chmod 755 "$WORK"
cp -a /etc "$WORK/etc"; mount --bind "$WORK/etc" /etc
mount -t tmpfs none /opt; mount -t tmpfs none /var/lib; mount -t tmpfs none /run
mkdir -p /opt/truepeer /etc/truepeer /var/lib/truepeer "$WORK/path" "$WORK/backup"
for name in bin dist build docs node_modules; do
  mkdir /opt/truepeer/$name; mount --bind "${ROOT_FOLDER}/$name" /opt/truepeer/$name
done
cp "${ROOT_FOLDER}/package.json" /opt/truepeer/
ln -s /opt/truepeer/bin /opt/truepeer/docs "$WORK/"; ln -s /opt/truepeer/bin/truepeer "$WORK/path/truepeer"
cp "$WORK"/*.yaml /etc/truepeer/; echo 35.191.0.0/16 > /etc/truepeer/edges.txt; cp /etc/truepeer/edges.txt /etc/edges.txt
echo id.secret > /etc/truepeer/token; chmod 600 /etc/truepeer/token
# What a page says to copy to other hosts, once it is there.
ln -s "$WORK/cert.pem" /etc/truepeer/controller.pem
for name in alice edge-2; do ln -s "$WORK/$name.token" /etc/truepeer/$name.token; done
echo 192.0.2.5 controller.example >> /etc/hosts
echo ready; exec sleep infinity`

for (const page of PAGES) {
  const own = commands(read(page))
  if (own.length === 0) continue
  test(`every command of ${page} does what the page says`, { ...NEEDS_ROOT, timeout: 900_000 }, async (t) => {
    const shell = await openShell(t)
    for (const command of [...(BEFORE[page] ?? []), ...own]) await shell.type(command)
  })
}

test('what cannot run here is named, and nothing else is', () => {
  const all = PAGES.flatMap((page) => commands(read(page)))
  for (const [pattern] of ELSEWHERE)
    assert.ok(
      all.some((command) => pattern.test(command)),
      String(pattern),
    )
  assert.ok(all.length > 60, `${all.length} commands`)
})

function read(page: string): string {
  return readFileSync(join(ROOT_FOLDER, page), 'utf8')
}

/** The commands of the shell blocks of a text; continued lines are joined, a block with a here-document is one. */
function commands(text: string): string[] {
  const blocks = [...text.matchAll(/^ *```sh\n(.*?)^ *```$/gms)].map(([, block]) => block.replaceAll(/\\\n\s*/g, ''))
  return blocks.flatMap((block) =>
    block.includes('<<')
      ? [block]
      : block
          .trimEnd()
          .split('\n')
          .map((line) => line.trim()),
  )
}

/** Those under some headings of a page. */
function commandsUnder(page: string, ...headings: readonly string[]): string[] {
  const sections = read(page).split(/^## /m)
  return headings.flatMap((heading) => {
    const section = sections.find((text) => text.startsWith(`${heading}\n`))
    assert.ok(section !== undefined, heading)
    return commands(section)
  })
}

type Shell = { type(command: string): Promise<void> }

/** A host with all addresses of the guides, and folders of its own where the guides write. */
async function openShell(t: TestContext): Promise<Shell> {
  const lab = new Lab()
  t.after(() => lab.close())
  const host = await lab.addHost('host')
  for (const address of ['203.0.113.10', '10.128.0.2', '10.128.0.3', '35.191.0.9', '198.51.100.7', '192.0.2.5']) {
    await host.ip(`address add ${address}/32 dev lo`)
  }
  for (const last of [16, 17, 18, 19]) await host.ip(`address add 35.191.0.${last}/32 dev lo`)
  // As from a load balancer, although there is one host only.
  await host.ip('route change table local local 10.128.0.2 dev lo src 35.191.0.9')
  const work = testDirectory(t)
  writeFiles(work)
  const holder = host.start('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', `WORK=${work}\n${SET_UP}`])
  await holder.waitForLine(/^ready$/, { timeoutMs: START_TIMEOUT_MS })
  for (const address of ['127.0.0.1', '::1']) {
    for (const port of ['112', '2525']) host.start('ncat', ['-lk', address, port, '-c', 'echo hello; sleep 1'])
  }
  await eventually(
    'the apps listen',
    async () => (await host.run('ss', ['-Hltn'])).stdout.trim().split('\n').length >= 4,
  )
  return new PageShell(host, holder, work)
}

function writeFiles(work: string): void {
  const edge = /^```yml\n(.*?)^```$/ms.exec(read('docs/guides/load-balancer.md'))?.[1]
  const agent = /^```yaml\n(.*?)^```$/ms.exec(read('docs/guides/several-ports.md'))?.[1]
  assert.ok(edge !== undefined && agent !== undefined)
  const chain = LEAF.certificatePem + INTERMEDIATE.certificatePem
  const files = {
    'edge.yaml': edge,
    'agent.yaml': agent,
    'fullchain.pem': chain,
    'privkey.pem': LEAF.keyPem,
    'cert.pem': chain,
    'key.pem': LEAF.keyPem,
    'root.pem': ROOT.certificatePem,
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(work, name), text, { mode: 0o600 })
}

/** Types commands one after the other; what has to run meanwhile goes on in the background. */
class PageShell implements Shell {
  readonly #host: Host
  readonly #holder: Program
  readonly #work: string
  readonly #servers = new Map<string, Program>()
  #exports = ''

  constructor(host: Host, holder: Program, work: string) {
    this.#host = host
    this.#holder = holder
    this.#work = work
  }

  async type(command: string): Promise<void> {
    if (ELSEWHERE.some(([pattern]) => pattern.test(command))) return
    if (/^gcloud /.test(command) && noGcloud !== false) return
    if (/^(?:export|unset|umask) /.test(command)) {
      this.#exports += `${command}\n`
      return
    }
    const [, kind] = SERVER.exec(command) ?? []
    if (kind !== undefined) return await this.#serve(kind, command)
    // The page says that the controller must not run then.
    if (/controller restore/.test(command)) await this.#servers.get('controller ')?.stop()
    const { exitCode, stdout, stderr } = await this.#host.run('nsenter', this.#inside(command), { timeoutMs: 120_000 })
    assert.equal(exitCode, 0, `${command}\n${stdout}${stderr}`)
  }

  async #serve(kind: string, command: string): Promise<void> {
    // Two edges that listen on one port differ in where they are asked about themselves.
    const key = `${kind} ${/--admin \S+/.exec(command)?.[0] ?? ''}`
    await this.#servers.get(key)?.stop()
    const program = this.#host.start(
      'nsenter',
      this.#inside(
        `exec ${AS_TRUEPEER.test(command) ? `env ${command.replace(' truepeer ', ` ${SETPRIV} truepeer `)}` : command}`,
      ),
    )
    this.#servers.set(key, program)
    await program.waitForLine(/"msg":"listening"/, { timeoutMs: START_TIMEOUT_MS })
  }

  #inside(command: string): string[] {
    const typed = command.replaceAll('/backup/', `${this.#work}/backup/`)
    // The authorities that a machine gives to Python come before those that a page gives to gcloud.
    const environment = `unset REQUESTS_CA_BUNDLE CURL_CA_BUNDLE; export HOME=${this.#work} PATH=${this.#work}/path:$PATH CLOUDSDK_CORE_DISABLE_PROMPTS=1`
    const script = `cd ${this.#work}\n${environment}\n${this.#exports}${typed}`
    return ['--mount', '--target', String(this.#holder.pid), 'sh', '-c', script]
  }
}
