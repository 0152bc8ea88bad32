import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { runProgram } from '../../src/linux/run.ts'
import { asNobody, noNobody } from '../rig/as-nobody.ts'
import { change, insertChain, insertRule, PROJECT } from '../rig/controller.ts'
import { eventually } from '../rig/eventually.ts'
import { type RunningLab, startLab } from '../rig/lab.ts'
import { NEEDS_ROOT } from '../rig/skip.ts'
import { TRUEPEER } from '../rig/truepeer.ts'

const PORT = 4_000

/** Connects to `truepeer whoami` and returns the address that it sees. */
async function seenBy(lab: RunningLab, host: string, address: string): Promise<string | undefined> {
  const connect = `exec 3<>/dev/tcp/${address}/${PORT} && head -n 1 <&3`
  const greeting = await lab.exec(host, 'timeout', '5', 'bash', '-c', connect)
  return / peer ([^ ]+):\d+\n$/.exec(greeting)?.[1]
}

test('an external address leads to its instance from every region, and is what others see of that', async () => {
  const lab = await startLab('nat')
  try {
    const zone = 'zones/europe-west1-b'
    await change(lab, 'POST', `${zone}/instances`, {
      name: 'vm',
      networkInterfaces: [{ accessConfigs: [{ type: 'ONE_TO_ONE_NAT' }] }],
    })
    await change(lab, 'POST', 'global/firewalls', {
      name: 'allow-whoami',
      sourceRanges: ['0.0.0.0/0'],
      allowed: [{ IPProtocol: 'tcp', ports: [`${PORT}`] }],
    })
    const { addresses = [] } = (await lab.status()).hosts.find(({ name }) => name === 'vm') ?? {}
    const [internal, external] = addresses
    assert.match(`${internal} ${external}`, /^10\.132\.0\.2 198\.51\.100\.\d+$/)
    for (const host of ['vm', 'client-asia']) {
      const app = lab.start(host, 'truepeer', 'whoami', '--listen', `0.0.0.0:${PORT}`)
      await app.waitForLine(/listening/)
    }
    assert.equal(await seenBy(lab, 'client', external), '209.52.88.4')
    assert.equal(await seenBy(lab, 'client-eu', external), '192.0.2.4')
    assert.equal(await seenBy(lab, 'vm', '192.0.2.68'), external)
  } finally {
    await lab.down()
  }
})

test('the API of a lab is for its owner, and for nobody else on the machine', NEEDS_ROOT, async () => {
  const lab = await startLab('owned')
  try {
    const { port } = new URL((await lab.status()).url)
    const request = 'GET /compute/v1/projects/truepeer HTTP/1.0\\r\\n\\r\\n'
    const ask = `exec 3<>/dev/tcp/127.0.0.1/${port}; printf '${request}' >&3; head -n 1 <&3`
    const asked = async (...user: readonly string[]): Promise<string> =>
      (await runProgram('setpriv', [...user, 'bash', '-c', ask])).stdout.trim()
    assert.equal(await asked('--reuid=0'), 'HTTP/1.1 200 OK')
    assert.equal(await asked('--reuid=65534', '--clear-groups'), 'HTTP/1.1 401 Unauthorized')
  } finally {
    await lab.down()
  }
})

test('two labs have ports of their own, and the end of one is not seen in the other', async () => {
  const [one, two] = await Promise.all([startLab('first'), startLab('second')])
  try {
    const before = await two.status()
    assert.notEqual((await one.status()).url, before.url)
    await one.exec('client', 'touch', '/etc/of-the-first')
    await assert.rejects(two.exec('client', 'cat', '/etc/of-the-first'), /No such file/)
    await one.down()
    assert.deepEqual(await two.status(), before)
    await two.exec('client', 'true')
  } finally {
    await one.down()
    await two.down()
  }
})

test('a lab that is reset has the port that it had, and nothing of what was in it', async () => {
  const lab = await startLab('again')
  try {
    const before = await lab.status()
    await change(lab, 'POST', 'global/healthChecks', { name: 'check', type: 'TCP', tcpHealthCheck: { port: 1 } })
    await lab.exec('client', 'touch', '/etc/of-the-first')
    await lab.reset()
    assert.equal((await lab.status()).url, before.url)
    assert.equal((await lab.ask('GET', `${PROJECT}/global/healthChecks/check`)).status, 404)
    await assert.rejects(lab.exec('client', 'cat', '/etc/of-the-first'), /No such file/)
  } finally {
    await lab.down()
  }
})

test('an ordinary user has a lab, too, and nothing is left of it', { skip: noNobody }, async () => {
  const script = `set -e
    "$0" lab up
    "$0" lab exec client -- sh -c "id -u; touch /etc/of-the-lab; hostname"
    port=$("$0" lab env | sed -n 's/.*OVERRIDES_COMPUTE=.*127.0.0.1:\\([0-9]*\\).*/\\1/p')
    bash -c "exec 3<>/dev/tcp/127.0.0.1/$port; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; head -n 1 <&3"
    "$0" lab down`
  const { exitCode, stdout, stderr } = await asNobody(script)
  assert.equal(exitCode, 0, stdout + stderr)
  assert.match(stdout, /^edge-asia-east1 .* serves, process \d+$/m)
  assert.match(stdout, /\n0\nclient\nHTTP\/1\.1 404 Not Found\r?\n$/)
  assert.equal(existsSync('/tmp/truepeer-65534'), false)
})

test('a user without subordinate ids is told which, and the command that gives them', { skip: noNobody }, async () => {
  const { exitCode, stderr } = await asNobody('"$0" lab up', { subordinate: 'other:200000:65536\n' })
  assert.equal(exitCode, 1)
  assert.equal(
    stderr,
    'truepeer: The user "nobody" has no range of 65536 subordinate ids in "/etc/subuid", which the users inside a lab need; as root, run "usermod --add-subuids 200000-265535 --add-subgids 200000-265535 nobody"\n',
  )
})

test('a host is entered by its name, and an instance that shares its name with others by its zone', async () => {
  const lab = await startLab('names')
  try {
    for (const [zone, name] of [
      ['us-central1-a', 'twin'],
      ['us-central1-b', 'twin'],
      ['us-central1-b', 'client'],
    ]) {
      await change(lab, 'POST', `zones/${zone}/instances`, { name })
    }
    const zoned = (zone: string, ...args: readonly string[]) =>
      runProgram(TRUEPEER, ['lab', 'exec', '--name', 'names', '--zone', zone, ...args])
    const address = ['ip', '-o', '-4', 'address', 'show', 'eth0']
    assert.match(await lab.exec('client', ...address), / 209\.52\.88\.4\//)
    assert.match((await zoned('us-central1-b', 'client', '--', ...address)).stdout, / 10\.128\.0\.4\//)
    assert.match((await zoned('us-central1-a', 'twin', '--', ...address)).stdout, / 10\.128\.0\.2\//)
    assert.match((await zoned('us-central1-b', 'twin', '--', ...address)).stdout, / 10\.128\.0\.3\//)
    await assert.rejects(lab.exec('twin', 'true'), /in us-central1-a and in us-central1-b; say which one with --zone/)
    await change(lab, 'POST', 'zones/us-central1-b/instances/twin/stop')
    const { exitCode, stderr } = await zoned('us-central1-b', 'twin', '--', 'true')
    assert.deepEqual([exitCode, stderr], [1, 'truepeer: "twin" is terminated; it can be entered while it runs\n'])
    const killed = await zoned('us-central1-a', 'twin', '--', 'sh', '-c', 'kill -KILL $$')
    assert.deepEqual([killed.exitCode, killed.stderr], [137, ''])
  } finally {
    await lab.down()
  }
})

test('an edge is a machine of its own; where it does not answer clients are led to the next one, until it does', async () => {
  const lab = await startLab('stops')
  const machineFiles = ['/etc/of-the-edge', '/tmp/of-the-edge', '/var/lib/truepeer']
  try {
    const edge = 'edge-us-central1'
    assert.equal(await lab.exec(edge, 'sh', '-c', `hostname; touch ${machineFiles.slice(0, 2).join(' ')}`), `${edge}\n`)
    assert.deepEqual(machineFiles.filter(existsSync), [])
    await assert.rejects(lab.exec('edge-europe-west1', 'cat', machineFiles[0]), /No such file/)
    assert.match(
      await lab.exec(edge, 'truepeer', 'status', '--admin', 'unix:/run/truepeer/edge.sock'),
      /^Configuration /,
    )

    await insertChain(lab, '10.128.0.2', 110)
    await change(lab, 'POST', 'global/firewalls', {
      name: 'allow-lb-and-health',
      sourceRanges: ['130.211.0.0/22', '35.191.0.0/16'],
      allowed: [{ IPProtocol: 'tcp', ports: ['110'] }],
    })
    await insertRule(lab, 'rule', '203.0.113.1', 110)
    const app = lab.start('backend', 'truepeer', 'whoami', '--listen', '10.128.0.2:110')
    await app.waitForLine(/listening/)
    const isAt = (address: string) => async (): Promise<boolean> => {
      const connect = 'exec 3<>/dev/tcp/203.0.113.1/110 && head -n 1 <&3'
      const greeting = await lab.exec('client', 'timeout', '2', 'bash', '-c', connect).catch(() => '')
      return greeting.includes(` peer ${address}:`)
    }
    await eventually('the near edge answers', isAt('35.191.0.2'))
    const pid = await lab.edgeProcess('us-central1')
    await lab.exec(edge, 'kill', '-STOP', pid)
    await eventually('the next one answers', isAt('35.191.64.2'))
    const state = (await lab.status()).hosts.find(({ name }) => name === edge)?.state
    assert.equal(state, `does not answer, process ${pid}`)
    await lab.exec(edge, 'kill', '-CONT', pid)
    await eventually('the near edge answers again', isAt('35.191.0.2'))
    await lab.exec(edge, 'kill', '-STOP', pid)
    await lab.exec(edge, 'kill', '-KILL', pid)
    await eventually(
      'another process serves',
      async () => (await lab.edgeProcess('us-central1').catch(() => pid)) !== pid,
    )
    await eventually('it answers', isAt('35.191.0.2'))
    // It may end before the command does, which it ends then.
    await lab.exec(edge, 'kill', '-TERM', '1').catch(() => {})
    await eventually('it is off', isAt('35.191.64.2'))
    await eventually('it is on again, with its edge', isAt('35.191.0.2'))
    assert.equal(await lab.exec(edge, 'cat', machineFiles[0]), '')
    const [, warned] =
      /"(These edges have not applied[^"]*)"/.exec(
        JSON.stringify(await lab.ask('GET', `${PROJECT}/global/operations`)),
      ) ?? []
    assert.equal(warned, undefined)
    await lab.exec(edge, 'kill', '-STOP', await lab.edgeProcess('us-central1'))
  } finally {
    await lab.down()
  }
})

test('a command on a host that is suspended, as by Ctrl-Z, does not keep the lab from its end', async () => {
  const lab = await startLab('suspended')
  // The shell of a terminal, whose jobs are groups of processes.
  const script = `set -m
    "$0" lab exec --name suspended client -- sleep 1000 &
    until "$0" lab exec --name suspended client -- pgrep -xf 'sleep 1000' >/dev/null; do :; done
    kill -TSTP -- -$!
    until jobs | grep -q Stopped; do :; done
    "$0" lab down --name suspended; echo "ended with $?"
    kill -CONT -- -$!; wait $!; echo "the command with $?"`
  try {
    const { stdout, stderr } = await runProgram('bash', ['-c', script, TRUEPEER], { timeoutMs: 60_000 })
    assert.match(stdout, /^ended with 0\nthe command with 137\n$/m, stdout + stderr)
  } finally {
    await lab.down()
  }
})
