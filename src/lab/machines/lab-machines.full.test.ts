import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../../../test/rig/eventually.ts'
import type { Host } from '../host.ts'
import { TestInstances } from './test-instances.ts'

const ZONE = 'zones/us-central1-b'
const LIMIT = { timeout: 120_000 }

/** Whether a connection gets to a port that nobody listens on: it is refused then, and not answered otherwise. */
async function getsTo(host: Host, to: string): Promise<boolean> {
  const code = await host.connect({ to, timeoutMs: 150 }).then(String, (error) => error.code)
  assert.ok(['ECONNREFUSED', 'ETIMEDOUT', 'EHOSTUNREACH'].includes(code), code)
  return code === 'ECONNREFUSED'
}

test('what is done to an instance is done to its machine, and the API says what it does', LIMIT, async (t) => {
  const instances = await TestInstances.make(t)
  const { fabric } = instances
  await instances.create('vm')
  await instances.run('vm', 'echo one >/etc/mine; echo two >/tmp/mine; echo three >/run/mine')
  await instances.run('vm', 'ip route add 192.0.2.0/24 dev lo; (trap "" TERM; exec sleep 600) >/dev/null 2>&1 &')
  assert.equal(instances.served.length, 1)

  await instances.act('vm', 'stop')
  assert.equal(await instances.statusOf('vm'), 'TERMINATED')
  assert.deepEqual([instances.served, fabric.asked.at(-1)], [[], 'detach'])
  await instances.act('vm', 'stop')
  await instances.act('vm', 'start')
  assert.equal(await instances.statusOf('vm'), 'RUNNING')
  const files = 'cat /etc/mine /tmp/mine /run/mine 2>/dev/null; ip route show 192.0.2.0/24'
  assert.equal(await instances.run('vm', files), 'one\ntwo', 'files stay, what is in memory does not')

  const count = "pgrep -x -c -f 'sleep 600'"
  await instances.run('vm', `sleep 600 >/dev/null 2>&1 & while ! ${count}; do :; done`)
  await instances.act('vm', 'start')
  assert.equal(await instances.run('vm', count), '1', 'what runs goes on')
  await instances.act('vm', 'reset')
  assert.deepEqual([await instances.statusOf('vm'), await instances.run('vm', count)], ['RUNNING', '0'])
  const text = await instances.serialOf('vm')
  assert.match(
    text,
    /^vm has started\nvm is stopping\nvm has started\nvm has started\n$/,
    'a reset stops nothing first',
  )
  assert.deepEqual([instances.served.length, fabric.asked.filter((one) => one !== 'detach').length], [1, 3])
})

test('nobody waits for a machine that shuts down but who ends it, or needs its address', LIMIT, async (t) => {
  const instances = await TestInstances.make(t)
  let open = (): void => {}
  await instances.create('vm')
  await instances.create('other')
  instances.shutDown = new Promise((resolve) => {
    open = resolve
  })
  try {
    const seen: string[] = []
    const stopped = instances.act('vm', 'stop').then(() => seen.push('stopped'))
    await eventually('it shuts down', async () => (await instances.statusOf('vm')) === 'STOPPING')
    const { fingerprint } = (await instances.api.get(`${ZONE}/instances/other`)).tags as {
      readonly fingerprint: string
    }
    await instances.act('other', 'setTags', { items: ['a'], fingerprint })
    const deleted = instances.delete('vm').then(() => seen.push('deleted'))
    const again = instances
      .create('again', { networkInterfaces: [{ networkIP: '10.128.0.2' }] })
      .then(() => seen.push('has the address'))
    await instances.change('POST', 'global/firewalls', { name: 'f', allowed: [{ IPProtocol: 'tcp' }] })
    assert.deepEqual(seen, [])
    open()
    await Promise.all([stopped, deleted, again])
    assert.deepEqual(seen, ['stopped', 'deleted', 'has the address'])
    assert.equal(await instances.statusOf('again'), 'RUNNING')
  } finally {
    open()
  }
})

test('a machine that ends by itself is seen and stays off; one that reboots goes on', LIMIT, async (t) => {
  const instances = await TestInstances.make(t)
  await instances.create('vm')
  await instances.run('vm', 'kill -TERM 1')
  await eventually('it is off', async () => (await instances.statusOf('vm')) !== 'RUNNING')
  await eventually('it is taken off the network', () => instances.fabric.asked.at(-1) === 'detach')
  const off = 'TERMINATED: It has ended by itself; start it again, or reset it'
  await instances.create('other')
  assert.equal(await instances.statusOf('vm'), off, 'other changes do not start it')
  await instances.act('vm', 'start')
  assert.equal(await instances.statusOf('vm'), 'RUNNING')

  const machine = instances.machine('vm')
  process.kill(machine.initPid, 'SIGKILL')
  await eventually('its end is seen', async () => (await instances.statusOf('vm')) === off)
  await instances.act('vm', 'reset')
  assert.equal(await instances.statusOf('vm'), 'RUNNING')

  const { initPid } = machine
  await instances.run('vm', 'python3 -c "import ctypes; ctypes.CDLL(None).reboot(0x01234567)"')
  await eventually('it runs again', async () => machine.isRunning && machine.initPid !== initPid)
  await eventually('and says so', async () => (await instances.statusOf('vm')) === 'RUNNING')
  assert.equal(instances.served.length, 2)
})

test('Google’s rules of the default network, tags, and what changes while machines run', LIMIT, async (t) => {
  const instances = await TestInstances.make(t)
  const client = await instances.fabric.addHost('client', '209.52.88.4')
  await instances.create('a', { tags: { items: ['web'] } })
  await instances.create('b')
  const reach = async (name: string, to: string) => {
    const script = `timeout 0.3 ncat ${to.replace(':', ' ')} </dev/null 2>&1`
    return (await instances.run(name, script)).includes('refused')
  }
  assert.deepEqual([await getsTo(client, '10.128.0.2:22'), await getsTo(client, '10.128.0.2:3389')], [true, true])
  assert.deepEqual([await getsTo(client, '10.128.0.2:80'), await reach('b', '10.128.0.2:80')], [false, true])
  await instances.change('DELETE', 'global/firewalls/default-allow-internal')
  assert.deepEqual([await reach('b', '10.128.0.2:80'), await reach('b', '10.128.0.2:22')], [false, true])

  const allowed = [{ IPProtocol: 'tcp', ports: ['80'] }]
  await instances.change('POST', 'global/firewalls', { name: 'web', targetTags: ['web'], sourceTags: ['job'], allowed })
  assert.deepEqual([await getsTo(client, '10.128.0.2:80'), await reach('b', '10.128.0.2:80')], [false, false])
  const { tags } = await instances.api.get(`${ZONE}/instances/b`)
  const { fingerprint } = tags as { readonly fingerprint: string }
  await instances.act('b', 'setTags', { items: ['job'], fingerprint })
  assert.deepEqual([await getsTo(client, '10.128.0.2:80'), await reach('b', '10.128.0.2:80')], [false, true])
  assert.equal(await reach('a', '10.128.0.3:80'), false, 'the rule is for those with the tag')

  await instances.change('POST', 'global/firewalls', {
    name: 'nothing-out',
    direction: 'EGRESS',
    denied: [{ IPProtocol: 'all' }],
    destinationRanges: ['10.128.0.2'],
  })
  assert.equal(await reach('b', '10.128.0.2:80'), false)
  await instances.change('PATCH', 'global/firewalls/nothing-out', { disabled: true })
  assert.equal(await reach('b', '10.128.0.2:80'), true)

  const [machine] = instances.served
  let told = 0
  machine.onMetadata(() => told++)
  const metadata = { items: [{ key: 'greeting', value: 'hello' }] }
  const { fingerprint: before } = (await instances.api.get(`${ZONE}/instances/a`)).metadata as { fingerprint: string }
  await instances.act('a', 'setMetadata', { ...metadata, fingerprint: before })
  assert.equal(told, 1)
  assert.deepEqual((machine.metadata().instance.resource.metadata as typeof metadata).items, metadata.items)
  const config = 'networkInterface=nic0'
  await instances.act('a', `deleteAccessConfig?${config}&accessConfig=external-nat`)
  assert.deepEqual(instances.fabric.asked.slice(-2), ['detach', 'attach 10.128.0.2'])
  await instances.act('a', `addAccessConfig?${config}`, {})
  assert.equal(instances.fabric.asked.at(-1), 'attach 10.128.0.2 198.51.100.1')
  assert.equal(told, 3)
})

test('instances of one name in two zones are two machines; one that is made again has new files', LIMIT, async (t) => {
  const instances = await TestInstances.make(t)
  await instances.create('vm')
  await instances.change('POST', 'zones/us-central1-a/instances', { name: 'vm' })
  assert.deepEqual(
    instances.machines.hosts().map(({ name, addresses, state }) => [name, addresses[0], state]),
    [
      ['vm', '10.128.0.2', 'running'],
      ['vm', '10.128.0.3', 'running'],
    ],
  )
  await instances.change('DELETE', 'zones/us-central1-a/instances/vm')
  await instances.run('vm', 'echo mine >/etc/mine')
  await instances.delete('vm')
  await instances.create('vm')
  assert.match(await instances.run('vm', 'cat /etc/mine'), /No such file/)
  assert.equal(await instances.serialOf('vm'), 'vm has started\n')
})

test('what cannot be made is said by its operation, and is made once it can be', LIMIT, async (t) => {
  const instances = await TestInstances.make(t)
  await instances.create('vm')
  instances.fabric.problem = 'The network is full'
  const { body } = await instances.api.send('POST', `${ZONE}/instances`, { name: 'next' })
  const { body: done } = await instances.api.send('POST', `${ZONE}/operations/${body.name}/wait`)
  assert.match(JSON.stringify(done.error), /The network is full/)
  assert.deepEqual(
    [await instances.statusOf('next'), await instances.statusOf('vm'), instances.served.length],
    ['TERMINATED: It could not be started', 'RUNNING', 1],
  )
  instances.fabric.problem = undefined
  await eventually('it runs', async () => (await instances.statusOf('next')) === 'RUNNING')
  assert.equal(await instances.run('next', 'hostname'), 'next')
})

test(
  'what a try has begun goes on, the next one waits for that, and does nothing that is not wanted any more',
  LIMIT,
  async (t) => {
    const instances = await TestInstances.make(t)
    await instances.create('vm')
    const { api, machines } = instances
    const all = api.store.all()
    const wanted = (...names: string[]) => ({
      revision: 0,
      instances: all.filter(({ collection, name }) => collection === 'instances' && names.includes(name)),
      firewalls: [],
      projects: all.filter(({ collection }) => collection === 'projects'),
    })
    const { signal } = new AbortController()
    const tries = [wanted(), wanted('vm'), wanted(), wanted('vm')].map((one) => machines.reconcile(one, signal))
    assert.deepEqual((await Promise.all(tries)).flat(), [])
    await machines.settled()
    assert.deepEqual(
      [machines.hosts().map(({ name, state }) => `${name} ${state}`), instances.served.length],
      [['vm running'], 1],
    )
    assert.equal(await instances.serialOf('vm'), 'vm has started\n', 'it was made anew')
    const late = machines.reconcile(wanted('vm'), AbortSignal.abort(new Error('It is too late')))
    await assert.rejects(late, /It is too late/)
    assert.equal(instances.served.length, 1)
  },
)
