// All rows of docs/guide in a lab, from the page itself, and then what only a lab with the whole guide in it can show.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { after, before, suite, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { commandOnHost, labUser } from '../../src/bin/lab-commands.ts'
import { readGuide } from '../../src/lab/guide/guide-page.ts'
import { GuideRun, type RowResult } from '../../src/lab/guide/guide-run.ts'
import { GuideTranscript } from '../../src/lab/guide/guide-transcript.ts'
import { noGcloud } from '../peers/gcloud.ts'
import { asNobody, noNobody } from '../rig/as-nobody.ts'
import { eventually } from '../rig/eventually.ts'
import { type RunningLab, startLab } from '../rig/lab.ts'
import { NEEDS_ROOT, skipWithout } from '../rig/skip.ts'
import { TRUEPEER } from '../rig/truepeer.ts'

const PAGE = readFileSync(fileURLToPath(new URL('../../../docs/guide/README.md', import.meta.url)), 'utf8')
const IPV4 = '203.0.113.1'
const IPV6 = '2001:db8:203::1'
const WIDTH = 200
const programs = ['ncat', 'iperf', 'iperf3', 'openssl', 'python3', 'setcap', 'ulogd', 'curl', 'nft', 'bash']
const skip = NEEDS_ROOT.skip || skipWithout(...programs)

/** Types the whole guide; returns what became of its rows, and all that was written. */
async function typeGuide(name: string): Promise<{ readonly results: readonly RowResult[]; readonly written: string }> {
  let written = ''
  const transcript = new GuideTranscript(
    (text) => {
      written += text
    },
    false,
    WIDTH,
  )
  const enter = (host: string, command: readonly string[]) =>
    commandOnHost({ name, host, command }, labUser(), TRUEPEER)
  const run = new GuideRun(enter, transcript)
  try {
    const rows = readGuide(PAGE)
    const results = await run.run(rows)
    transcript.results(rows, results)
    return { results, written }
  } finally {
    await run.close()
  }
}

/** What each row has to be seen by, beside what the page shows. */
const SEEN: Readonly<Record<number, RegExp>> = {
  1: /10\.128\.0\.2 +198\.51\.100\.\d+ +RUNNING/,
  13: /^LISTEN .* 203\.0\.113\.1:110 /,
  16: /connected with 35\.191\.0\.2 /,
  17: /connected with 35\.191\.0\.2 /,
  19: /^PROXY TCP4 209\.52\.88\.4 203\.0\.113\.2 \d+ 110$/,
  23: /connected with 2001:db8:66::6 port/,
  24: /onnection from 2001:db8:66::6/,
  25: /^hello, 209\.52\.88\.4$/,
  26: /local 127\.0\.0\.1 port 112 connected with 209\.52\.88\.4 port \d+/,
  28: /^served by my-backend$/,
  29: /INBOUND_TCP: .* SRC=209\.52\.88\.4 DST=127\.0\.0\.1 .* DPT=112 /,
}

suite('with gcloud', { skip: skip || noGcloud, timeout: 1_500_000 }, () => {
  let lab: RunningLab
  before(async () => {
    lab = await startLab('guide-test')
  })
  after(async () => {
    await lab.down()
  })

  test('all rows of the guide are seen', async (t) => {
    const { results, written } = await typeGuide('guide-test')
    t.diagnostic(`\n${written.slice(written.lastIndexOf('\nrow step'))}`)
    assert.equal(results.length, 29, written)
    for (const result of results) {
      const { number } = result.row
      if (result.kind === 'skipped') assert.equal(result.without, 'go-mmproxy')
      else {
        assert.ok(result.kind === 'seen', written)
        assert.match(result.line, SEEN[number] ?? /./, `row ${number}`)
      }
    }
  })

  test('clients are served when the near edge is killed, and when the near region is drained, or full', async (t) => {
    await prepareRegions(t, lab)
    const near = { client: 'my-backend', 'client-eu': 'my-backend-eu' }
    await untilServed(lab, near)
    await lab.exec('edge-us-central1', 'kill', '-KILL', await lab.edgeProcess('us-central1'))
    for (const [client, address] of [
      ['client', IPV4],
      ['client-eu', IPV4],
      ['client-asia', IPV4],
      ['client6', IPV6],
    ] as const) {
      assert.match((await servedBy(lab, client, address)) ?? '', /^my-backend(-eu)?$/, client)
    }
    await updateGroup(lab, '--capacity-scaler', '0')
    await untilServed(lab, { client: 'my-backend-eu', 'client-eu': 'my-backend-eu' })
    await updateGroup(lab, '--capacity-scaler', '1')
    await untilServed(lab, near)

    // A group is measured in one way by all services.
    await ofGroup(lab, 'remove-backend', 'my-udp-lb')
    // One for each edge, which cannot know what the others have.
    await updateGroup(lab, '--balancing-mode', 'CONNECTION', '--max-connections-per-instance', '3')
    for (const served of ['my-backend', undefined, undefined]) {
      const held = lab.start('client', 'sh', '-c', `sleep 600 | ncat ${IPV4} 110`)
      t.after(() => held.kill())
      const line = await held.waitForLine(/served by/)
      if (served !== undefined) assert.equal(line, `served by ${served}`)
    }
    await untilServed(lab, { client: 'my-backend-eu', 'client-eu': 'my-backend-eu' })
  })

  test('a playbook of Ansible builds the guide, and changes nothing when it is played again', {
    skip: skipWithout('ansible-playbook'),
  }, async () => {
    const play = (): Promise<string> =>
      lab.exec('client', 'ansible-playbook', '-i', 'localhost,', '/opt/truepeer/docs/examples/guide-playbook.yaml')
    assert.match(await play(), /ok=12 +changed=12 +unreachable=0 +failed=0/)
    assert.match(await play(), /ok=12 +changed=0 +unreachable=0 +failed=0/)
  })

  test('Libcloud lists the nodes', {
    skip: existsSync('/usr/lib/python3/dist-packages/libcloud') ? false : 'python3-libcloud is not installed',
  }, async () => {
    const program = [
      'from libcloud.compute.providers import get_driver',
      'gce = get_driver("gce")("", "", project="truepeer", auth_type="GCE")',
      'print(sorted((node.name, node.private_ips[0]) for node in gce.list_nodes()))',
    ].join('\n')
    const listed = await lab.exec('client', '/usr/bin/python3', '-c', program)
    assert.match(listed, /\('my-backend', '10\.128\.0\.\d+'\).*\('my-backend-eu', '10\.132\.0\.\d+'\)/)
  })

  test('the guest agent makes the user who logs in, and takes a file from there', {
    skip: skipWithout('sshd', 'google_guest_agent'),
  }, async () => {
    const there = ['--zone', 'us-central1-b', '--quiet']
    const id = await lab.exec('client', 'gcloud', 'compute', 'ssh', 'alice@my-backend', ...there, '--command', 'id')
    assert.match(id, /^uid=\d+\(alice\) .*google-sudoers/m)
    await lab.exec('client', 'gcloud', 'compute', 'scp', '/root/hello.py', 'alice@my-backend:', ...there)
    assert.match(await lab.exec('my-backend', 'cat', '/home/alice/hello.py'), /server_hostname='app\.example'/)
  })
})

test('without gcloud the same calls of the API are made, and all rows are seen', {
  skip,
  timeout: 600_000,
}, async () => {
  const lab = await startLab('guide-rest')
  try {
    // In the files of this host only.
    for (const path of ['/usr/bin/gcloud', '/usr/local/bin/gcloud']) await lab.exec('client', 'rm', '-f', path)
    const { results, written } = await typeGuide('guide-rest')
    assert.equal(results.length, 29, written)
    assert.ok(
      results.every(({ kind }) => kind !== 'failed'),
      written,
    )
    assert.match(written, /POST \/compute\/v1\/projects\/truepeer\/global\/forwardingRules \{/)
  } finally {
    await lab.down()
  }
})

test('the demo of an ordinary user ends with the table of all rows, and leaves no lab', {
  skip: skip || noNobody,
  timeout: 600_000,
}, async () => {
  const script = 'node "$(dirname "$0")/../dist/src/bin/guide-demo.js" && "$0" lab status --name guide'
  const { stdout, stderr } = await asNobody(script, { timeoutMs: 500_000 })
  const table = stdout.slice(stdout.lastIndexOf('\nrow step of the guide')).trimEnd().split('\n').slice(2)
  assert.equal(table.length, 29, stdout + stderr)
  for (const line of table) assert.match(line, /^ *\d+ .* (seen {2}\S|skipped {2})/, stdout)
  assert.match(stderr, /There is no lab "guide"/)
})

const SAY_NAME = `ncat -l -k -p 110 -c 'echo "served by $(hostname)"; cat > /dev/null'`

/** An app in both regions that says its name, in the place of what the guide has left. */
async function prepareRegions(t: TestContext, lab: RunningLab): Promise<void> {
  const startup = '/opt/truepeer/buckets/startup-script-proxy/gommproxy-startup.bash'
  await lab.exec('my-backend', 'bash', startup, 'undo')
  await lab.exec('client', 'gcloud', 'compute', 'instances', 'start', 'my-backend-eu', '--zone', 'europe-west1-b')
  for (const host of ['my-backend', 'my-backend-eu']) {
    const app = lab.start(host, 'sh', '-c', SAY_NAME)
    t.after(() => app.kill())
  }
}

/** The name that the app says; undefined while none does. */
async function servedBy(lab: RunningLab, client: string, address: string): Promise<string | undefined> {
  const connect = `exec 3<>/dev/tcp/${address}/110 && head -n 1 <&3`
  const said = await lab.exec(client, 'timeout', '5', 'bash', '-c', connect).catch(() => '')
  return /^served by (\S+)$/m.exec(said)?.[1]
}

async function untilServed(lab: RunningLab, wanted: Readonly<Record<string, string>>): Promise<void> {
  for (const [client, name] of Object.entries(wanted)) {
    await eventually(
      `${client} is served by ${name}`,
      async () => (await servedBy(lab, client, IPV4)) === name,
      120_000,
    )
  }
}

/** Changes the group of the near region in the backend service. */
function updateGroup(lab: RunningLab, ...flags: readonly string[]): Promise<void> {
  return ofGroup(lab, 'update-backend', 'my-tcp-lb', ...flags)
}

async function ofGroup(lab: RunningLab, command: string, service: string, ...flags: readonly string[]): Promise<void> {
  const group = ['--global', '--instance-group', 'my-instance-group', '--instance-group-zone', 'us-central1-b']
  await lab.exec('client', 'gcloud', 'compute', 'backend-services', command, service, ...group, ...flags)
}
