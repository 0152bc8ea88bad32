import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Finding } from '../../src/host/finding.ts'
import { shell } from '../rig/shell.ts'
import { skipWithout } from '../rig/skip.ts'
import { TRUEPEER } from '../rig/truepeer.ts'
import { truepeer } from './bare-hosts.ts'
import { examine, goodHost, problems } from './good-host.ts'

test('a good host has no finding, and the chain works', async (t) => {
  const { backend, words } = await goodHost(t)
  const examined = await examine(backend, words)
  assert.equal(examined.exitCode, 0, examined.text)
  assert.deepEqual(problems(examined), {})
  assert.match(examined.text, /saw 192\.0\.2\.1:\d+ as its peer/)
  assert.match(examined.text, /saw \[2001:db8::1\]:\d+ as its peer/)
  const human = await truepeer(backend, `doctor agent ${words}`)
  assert.equal(human.exitCode, 0)
  assert.match(human.stdout, /^ok +transparent-connection-ipv6 /m)
})

const BREAKAGES: readonly {
  readonly what: string
  readonly command: string
  readonly found: Record<string, string>
}[] = [
  {
    what: 'the IPv4 rule is missing',
    command: 'ip rule del from 127.0.0.0/8 iif lo lookup 100',
    found: { 'routing-ipv4': 'fail', 'transparent-connection-ipv4': 'fail' },
  },
  {
    what: 'the IPv4 route is missing',
    command: 'ip route flush table 100',
    found: { 'routing-ipv4': 'fail', 'transparent-connection-ipv4': 'fail' },
  },
  {
    what: 'the IPv6 rule is missing',
    command: 'ip -6 rule del from ::1/128 iif lo lookup 100',
    found: { 'routing-ipv6': 'fail', 'transparent-connection-ipv6': 'fail' },
  },
  {
    what: 'non-local binds are allowed',
    command: 'echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind',
    found: { ip_nonlocal_bind: 'fail' },
  },
  {
    what: "the host's own ports are those of clients",
    command: 'echo 32768 60999 > /proc/sys/net/ipv4/ip_local_port_range',
    found: { 'ephemeral-ports': 'warn' },
  },
  {
    what: 'tcp_migrate_req is off',
    command: 'echo 0 > /proc/sys/net/ipv4/tcp_migrate_req',
    found: { tcp_migrate_req: 'warn' },
  },
]

for (const { what, command, found } of BREAKAGES) {
  test(`the doctor finds that ${what}`, async (t) => {
    const { backend, words } = await goodHost(t)
    await shell(backend, command)
    assert.deepEqual(problems(await examine(backend, words)), found)
  })
}

test('strict reverse path filtering on every interface does not stop the connection', async (t) => {
  const { backend, words } = await goodHost(t)
  await shell(backend, 'for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 1 > $f; done')
  assert.deepEqual(problems(await examine(backend, words)), {})
})

test('the doctor finds a firewall that drops the connections', { skip: skipWithout('nft') }, async (t) => {
  const { backend, words } = await goodHost(t)
  await shell(
    backend,
    "/usr/sbin/nft 'add table inet x; add chain inet x y { type filter hook input priority 0; }; " +
      "add rule inet x y ip saddr 192.0.2.0/24 drop'",
  )
  assert.deepEqual(problems(await examine(backend, words)), { 'transparent-connection-ipv4': 'fail' })
})

test('a process without CAP_NET_RAW fails by name, and one with nothing else but it is well', async (t) => {
  const { backend, words } = await goodHost(t)
  const without = await examine(backend, words, ['setpriv', '--bounding-set', '-net_raw,-net_admin'])
  assert.deepEqual(problems(without), {
    'capability-net-raw': 'fail',
    'transparent-connection-ipv4': 'fail',
    'transparent-connection-ipv6': 'fail',
  })
  const unbound = await examine(backend, words, ['setpriv', '--bounding-set', '-net_bind_service'])
  assert.deepEqual(problems(unbound), { 'capability-net-bind-service': 'fail', listen: 'fail' })
  const enough = await examine(backend, words, ['setpriv', '--bounding-set', '-all,+net_raw,+net_bind_service'])
  assert.deepEqual(problems(enough), {})
})

test('an app that is down, or open to the outside, is found; --family leaves the other one out', async (t) => {
  const { backend, words } = await goodHost(t)
  const at = (port4: number, port6: number) =>
    words.replace('127.0.0.1:112', `127.0.0.1:${port4}`).replace('[::1]:112', `[::1]:${port6}`)
  assert.deepEqual(problems(await examine(backend, at(9999, 112))), { 'app-ipv4': 'fail' })
  assert.deepEqual(problems(await examine(backend, at(112, 9999))), { 'app-ipv6': 'fail' })
  assert.deepEqual(problems(await examine(backend, `${at(112, 9999)} --family ipv4`)), {})

  const wildcard = await backend.listen('0.0.0.0:113', (socket) => socket.end())
  assert.deepEqual(problems(await examine(backend, at(113, 112))), { 'app-ipv4': 'warn' })
  wildcard.close()
  await once(wildcard, 'close')
  await backend.listen('127.0.0.1:113', (socket) => socket.end())
  assert.deepEqual(problems(await examine(backend, at(113, 112))), {})
  await backend.listen('10.128.0.2:113', (socket) => socket.end())
  assert.deepEqual(problems(await examine(backend, at(113, 112))), { 'app-ipv4': 'warn' })
  // The agent itself, on the app's port and another address, is not the app.
  const own = at(113, 112).replace('10.128.0.2:110', '10.128.0.2:113')
  assert.deepEqual(problems(await examine(backend, own)), { listen: 'fail' })
})

test("the agent's port may be free or an agent's, but nobody else's", async (t) => {
  const { backend, words } = await goodHost(t)
  const agent = backend.start(TRUEPEER, ['agent', ...words.split(' ')])
  await agent.waitForLine(/"msg":"listening"/)
  const examined = await examine(backend, words)
  assert.deepEqual(problems(examined), {})
  assert.match(examined.text, new RegExp(`an agent listens on 10.128.0.2:110 \\(pid ${agent.pid}\\)`))
  assert.equal((await agent.stop()).exitCode, 0)

  await backend.listen('10.128.0.2:110', (socket) => socket.end())
  const taken = await examine(backend, words)
  assert.deepEqual(problems(taken), { listen: 'fail' })
  assert.match(taken.text, new RegExp(`pid ${process.pid}`))

  const elsewhere = await examine(backend, words.replace('10.128.0.2:110', '10.128.0.3:110'))
  assert.deepEqual(problems(elsewhere), { listen: 'fail' })
  const wildcard = await examine(backend, words.replace('10.128.0.2:110', '0.0.0.0:111'))
  assert.deepEqual(problems(wildcard), { listen: 'warn' })
})

test('with a configuration file every listener is checked by name, and the process and the host once', async (t) => {
  const { backend, words } = await goodHost(t)
  const [file] = words.split(' ').slice(-1)
  const first = `{listen: "10.128.0.2:110", target4: "127.0.0.1:112", target6: "[::1]:112", allowedSubnetsFile: ${file}}`
  const second = (rest: string) => `{listen: "[2001:db8:10::2]:25", ${rest}}`
  const trust = 'allowedSubnets: [35.191.0.0/16]'
  const apps = 'target4: "127.0.0.1:112", target6: "[::1]:112"'
  const path = file.replace('edges.txt', 'agent.yaml')
  const examineFile = async (...listeners: string[]) => {
    writeFileSync(path, `maxConnections: 1000\nlisteners: [${listeners.join()}]`)
    const { exitCode, stdout } = await truepeer(backend, `doctor agent --config ${path} --json`)
    const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] }
    const bad = findings.filter(({ status }) => status !== 'ok')
    return { exitCode, findings, problems: bad.map(({ name, listener, status }) => [status, listener, name]), bad }
  }

  const good = await examineFile(first, second(`${apps}, ${trust}`))
  assert.equal(good.exitCode, 0)
  assert.deepEqual(good.problems, [])
  const namesOf = (listener: string | undefined) =>
    good.findings.filter((finding) => finding.listener === listener).map(({ name }) => name)
  assert.deepEqual(namesOf('10.128.0.2:110'), namesOf('[2001:db8:10::2]:25'))
  assert.ok(namesOf('10.128.0.2:110').includes('transparent-connection-ipv6'))
  const shared = namesOf(undefined)
  assert.deepEqual(shared, [...new Set(shared)])
  assert.match(JSON.stringify(good.findings), /ports 110, 25 need it/)

  const broken = await examineFile(
    first,
    second('target4: "127.0.0.1:9999", target6: "[::1]:112", allowAllSubnets: true'),
  )
  assert.equal(broken.exitCode, 1, 'one listener that does not work is enough')
  assert.deepEqual(broken.problems, [
    ['warn', '[2001:db8:10::2]:25', 'allowed-subnets'],
    ['fail', '[2001:db8:10::2]:25', 'app-ipv4'],
  ])
  assert.match(broken.bad.map(({ remedy }) => remedy).join(), /"allowedSubnets" in the file.*"target4" in the file$/)
  const human = await truepeer(backend, `doctor agent --config ${path}`)
  assert.match(human.stdout, /^fail +\[2001:db8:10::2\]:25 app-ipv4 +nothing listens on 127\.0\.0\.1:9999$/m)

  // What listens on a port of the agent's own is not the app.
  await backend.listen('127.0.0.1:26', (socket) => socket.end())
  const own = `{listen: "127.0.0.1:26", target4: "127.0.0.1:112", target6: "[::1]:112", ${trust}}`
  const loop = await examineFile(own, second(`target4: "127.0.0.1:26", target6: "[::1]:112", ${trust}`))
  assert.deepEqual(loop.problems, [
    ['fail', '127.0.0.1:26', 'listen'],
    ['fail', '[2001:db8:10::2]:25', 'app-ipv4'],
  ])

  writeFileSync(path, 'listeners: [{listen: here}]')
  const wrong = await truepeer(backend, `doctor agent --config ${path} --json`)
  assert.equal(wrong.exitCode, 2)
  assert.match(wrong.stderr, /\/listeners\/0\/listen: /)
  assert.equal((await truepeer(backend, `doctor agent --config ${path} -v 1`)).exitCode, 2)
})
