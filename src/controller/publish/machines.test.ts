import assert from 'node:assert/strict'
import { mock, type TestContext, test } from 'node:test'
import type { Mapping } from '../../compute/json-value.ts'
import { type Answer, TestApi } from '../api/test-api.ts'
import type { InstanceProvider, MachineFailure, MachineState, SerialOutput, WantedMachines } from '../model/world.ts'
import { MemoryStore } from '../store/memory-store.ts'

const zone = 'zones/us-central1-b'
const INSTANCES = `${zone}/instances`

/** A provider that does what the test says. */
class TestProvider implements InstanceProvider {
  zones: InstanceProvider['zones']
  readonly asked: WantedMachines[] = []
  readonly signals: AbortSignal[] = []
  failures: readonly MachineFailure[] = []
  /** Why it cannot even try. */
  problem: string | undefined
  /** What it waits for. */
  gate: Promise<void> = Promise.resolve()
  /** What goes on by the paths of instances. */
  readonly going = new Map<string, Promise<string | undefined>>()
  report: (path: string, state: MachineState) => void = () => {}

  settled(path: string): Promise<string | undefined> | undefined {
    return this.going.get(path)
  }

  async reconcile(wanted: WantedMachines, signal: AbortSignal): Promise<readonly MachineFailure[]> {
    this.asked.push(wanted)
    this.signals.push(signal)
    const { failures, problem } = this
    await this.gate
    if (problem !== undefined) throw new Error(problem)
    return failures
  }

  /** What machines have written, as far as a test says. */
  readonly serial = new Map<string, string>()

  readonly guest = new Map<string, ReadonlyMap<string, ReadonlyMap<string, string>>>()

  guestAttributes(path: string) {
    return this.guest.get(path) ?? new Map()
  }

  serialOutput(path: string, start: number): SerialOutput | undefined {
    const text = this.serial.get(path)
    return text === undefined ? undefined : { contents: text.slice(start), start, next: text.length }
  }

  /** How often it was asked since the last time. */
  takeCount(): number {
    const taken = this.#taken
    this.#taken = this.asked.length
    return this.#taken - taken
  }

  #taken = 0
}

/** An API with a provider; its timers run when the test says so. */
function testMachines(
  t: TestContext,
  store = new MemoryStore(),
  options: { readonly natPools?: readonly string[] } = {},
) {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.after(() => mock.timers.reset())
  const provider = new TestProvider()
  const makeProvider = (report: TestProvider['report']): InstanceProvider => {
    provider.report = report
    return provider
  }
  const api = new TestApi({ ...options, store, makeProvider })
  const turns = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  /** Lets time pass, and all that follows from it happen. */
  const pass = async (ms = 1): Promise<void> => {
    await turns()
    mock.timers.tick(ms)
    await turns()
  }
  const begin = async (method: string, path: string, body?: unknown): Promise<Mapping> => {
    const { status, body: operation } = await api.send(method, path, body)
    assert.equal(status, 200, JSON.stringify(operation))
    assert.equal(operation.status, 'RUNNING')
    return operation
  }
  const wait = ({ name }: Mapping, scope = zone): Promise<Answer> =>
    api.send('POST', `${scope}/operations/${name}/wait`)
  return { api, provider, pass, begin, wait }
}

function gate(): { readonly closed: Promise<void>; readonly open: () => void } {
  let open = (): void => {}
  const closed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { closed, open }
}

function pathTo(name: string): string {
  return `projects/p/${INSTANCES}/${name}`
}

test('what goes on with one machine is waited for by its operation alone, and tried again where it fails', async (t) => {
  const { provider, pass, begin, wait } = testMachines(t)
  await pass()
  let end = (_problem: string | undefined): void => {}
  provider.going.set(pathTo('i1'), new Promise((resolve) => (end = resolve)))
  const made = await begin('POST', INSTANCES, { name: 'i1', networkInterfaces: [{}] })
  const other = wait(await begin('POST', INSTANCES, { name: 'i2', networkInterfaces: [{}] }))
  await pass()
  assert.equal((await other).body.status, 'DONE')
  const waiting = wait(made)
  provider.takeCount()
  end('it does not end')
  const { body } = await waiting
  assert.match(JSON.stringify(body.error), /it does not end/)
  await pass(1_000)
  assert.equal(provider.takeCount(), 1)
})

test('an operation on an instance runs until the provider has tried it; it is given all that is wanted', async (t) => {
  const { api, provider, pass, begin, wait } = testMachines(t)
  await pass()
  provider.takeCount()
  const { closed, open } = gate()
  provider.gate = closed
  const operation = await begin('POST', INSTANCES, { name: 'i1', networkInterfaces: [{}] })
  assert.ok(!('warnings' in operation), 'a machine is made')
  await pass()
  const waiting = wait(operation)
  await pass()
  assert.equal((await api.get(`${zone}/operations/${operation.name}`)).status, 'RUNNING')
  open()
  await pass()
  const { body: done } = await waiting
  assert.deepEqual([done.status, done.progress, done.error], ['DONE', 100, undefined])
  assert.deepEqual(await api.get(`${zone}/operations/${operation.name}`), done)
  const [wanted] = provider.asked.slice(-1)
  assert.equal(wanted.revision, api.store.revision())
  const { networkInterfaces, status } = wanted.instances[0].resource
  assert.deepEqual([(networkInterfaces as readonly Mapping[])[0].networkIP, status], ['10.128.0.2', 'RUNNING'])

  const allowed = [{ IPProtocol: 'tcp', ports: ['22'] }]
  const firewall = wait(await begin('POST', 'global/firewalls', { name: 'ssh', allowed }), 'global')
  await pass()
  assert.equal((await firewall).body.status, 'DONE')
  const asked = provider.asked.at(-1)
  assert.deepEqual(
    asked?.firewalls.map(({ name }) => name),
    ['default-allow-icmp', 'default-allow-internal', 'default-allow-rdp', 'default-allow-ssh', 'ssh'],
  )
  assert.deepEqual(
    asked?.projects.map(({ name }) => name),
    ['p'],
  )
  const stop = wait(await begin('POST', `${INSTANCES}/i1/stop`))
  await pass()
  await stop
  assert.equal(provider.asked.at(-1)?.instances[0].resource.status, 'TERMINATED')
  const deletion = wait(await begin('DELETE', `${INSTANCES}/i1`))
  await pass()
  await deletion
  assert.deepEqual(provider.asked.at(-1)?.instances, [])
  assert.equal(provider.takeCount(), 4)
  await api.change('POST', 'global/healthChecks', { name: 'hc', type: 'TCP', tcpHealthCheck: {} })
  await pass(100_000)
  assert.equal(provider.takeCount(), 0, 'what is not for machines does not concern it')
})

test('what fails ends its own operation with an error, is logged, and is tried again until it is well', async (t) => {
  const { api, provider, pass, begin, wait } = testMachines(t)
  await pass()
  provider.failures = [{ path: pathTo('i1'), message: 'No namespace is left' }]
  const operations = [await begin('POST', INSTANCES, { name: 'i1' }), await begin('POST', INSTANCES, { name: 'i2' })]
  const waiting = operations.map((operation) => wait(operation))
  await pass()
  const [{ body: failed }, { body: done }] = await Promise.all(waiting)
  assert.deepEqual(failed.error, { errors: [{ code: 'BACKEND_ERROR', message: 'No namespace is left' }] })
  assert.deepEqual([failed.httpErrorStatusCode, failed.httpErrorMessage], [503, 'SERVICE UNAVAILABLE'])
  assert.deepEqual([failed.status, typeof failed.endTime], ['DONE', 'string'])
  assert.deepEqual([done.status, done.error, done.httpErrorStatusCode], ['DONE', undefined, undefined])
  assert.match(JSON.stringify(api.logged), /The machines differ from what is configured.*i1.*No namespace is left/)
  assert.equal((await api.send('GET', `${INSTANCES}/i1`)).status, 200, 'it is still wanted')
  provider.takeCount()
  for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
    await pass(seconds * 1000 - 10)
    assert.equal(provider.takeCount(), 0, `before ${seconds} s`)
    await pass(10)
    assert.equal(provider.takeCount(), 1, `after ${seconds} s`)
  }
  const changed = wait(await begin('POST', `${INSTANCES}/i2/stop`))
  await pass()
  assert.deepEqual(
    [(await changed).body.error, provider.takeCount()],
    [undefined, 1],
    'a change does not wait for that',
  )
  provider.failures = []
  await pass(60_000)
  assert.equal(provider.takeCount(), 1)
  await pass(1_000_000)
  assert.equal(provider.takeCount(), 0, 'what is well is left alone')
  provider.failures = [{ path: pathTo('i2'), message: 'x' }]
  const again = wait(await begin('POST', `${INSTANCES}/i2/start`))
  await pass()
  assert.match(JSON.stringify((await again).body.error), /"x"/)
  provider.takeCount()
  await pass(1000)
  assert.equal(provider.takeCount(), 1, 'and the next failure is tried again as soon as the first')
})

test('a provider that cannot even try ends every operation that waits for it with an error, and is asked again', async (t) => {
  const { api, provider, pass, begin, wait } = testMachines(t)
  await pass()
  provider.problem = 'The lab is down'
  const operations = [await begin('POST', INSTANCES, { name: 'i1' }), await begin('POST', INSTANCES, { name: 'i2' })]
  const waiting = operations.map((operation) => wait(operation))
  await pass()
  for (const { body } of await Promise.all(waiting)) assert.match(JSON.stringify(body.error), /"The lab is down"/)
  await api.change('POST', 'global/healthChecks', { name: 'hc', type: 'TCP', tcpHealthCheck: {} })
  provider.problem = undefined
  provider.takeCount()
  await pass(1000)
  assert.equal(provider.takeCount(), 1)
  assert.equal(provider.asked.at(-1)?.instances.length, 2)
})

test('changes that come while the provider is busy are one try after it, and their operations wait for that', async (t) => {
  const { api, provider, pass, begin, wait } = testMachines(t)
  await pass()
  const first = gate()
  provider.gate = first.closed
  await begin('POST', INSTANCES, { name: 'i1' })
  await pass()
  const second = gate()
  provider.gate = second.closed
  const later = await begin('POST', INSTANCES, { name: 'i2' })
  await begin('POST', INSTANCES, { name: 'i3' })
  await pass(1000)
  provider.takeCount()
  first.open()
  await pass()
  assert.equal((await api.get(`${zone}/operations/${later.name}`)).status, 'RUNNING')
  second.open()
  const waiting = wait(later)
  await pass()
  assert.equal((await waiting).body.status, 'DONE')
  assert.equal(provider.takeCount(), 1)
  assert.equal(provider.asked.at(-1)?.instances.length, 3)
})

test('a provider that does not end is told to after five minutes, and its operations end with an error', async (t) => {
  const { api, provider, pass, begin } = testMachines(t)
  await pass()
  provider.gate = new Promise(() => {})
  const operation = await begin('POST', INSTANCES, { name: 'i1' })
  await pass()
  await pass(299_000)
  assert.equal(provider.signals.at(-1)?.aborted, false)
  await pass(1_000)
  assert.equal(provider.signals.at(-1)?.aborted, true)
  const ended = await api.get(`${zone}/operations/${operation.name}`)
  assert.match(JSON.stringify(ended.error), /did not become what is configured within 300 s/)
})

test('what a provider reports is shown, and what is wanted stays; of instances that are gone nothing is kept', async (t) => {
  const { api, provider, pass, begin } = testMachines(t)
  await pass()
  await begin('POST', INSTANCES, { name: 'i1' })
  await pass()
  provider.report(pathTo('i1'), { status: 'STOPPING', message: 'It was powered off from inside' })
  const shown = await api.get(`${INSTANCES}/i1`)
  assert.deepEqual([shown.status, shown.statusMessage], ['STOPPING', 'It was powered off from inside'])
  const [listed] = (await api.get(INSTANCES)).items as readonly Mapping[]
  assert.equal(listed.status, 'STOPPING')
  assert.deepEqual((await api.get(`${INSTANCES}?filter=status%3DRUNNING`)).items, undefined)
  assert.equal(api.store.get('p', 'instances', zone, 'i1')?.resource.status, 'RUNNING')
  await api.change('POST', `${zone}/instanceGroups`, { name: 'g' })
  await api.change('POST', `${zone}/instanceGroups/g/addInstances`, { instances: [{ instance: `${INSTANCES}/i1` }] })
  const members = async (instanceState: string): Promise<unknown> => {
    const { body } = await api.send('POST', `${zone}/instanceGroups/g/listInstances`, { instanceState })
    return (body.items as readonly Mapping[] | undefined)?.map(({ status }) => status)
  }
  assert.deepEqual([await members('RUNNING'), await members('ALL')], [undefined, ['STOPPING']])
  provider.report(pathTo('i1'), { status: 'RUNNING' })
  assert.deepEqual(await members('RUNNING'), ['RUNNING'])
  assert.equal((await api.get(`${INSTANCES}/i1`)).statusMessage, undefined)

  provider.report(pathTo('i1'), { status: 'TERMINATED' })
  await begin('DELETE', `${INSTANCES}/i1`)
  provider.report(pathTo('i1'), { status: 'STOPPING' })
  provider.report('nonsense', { status: 'STOPPING' })
  await begin('POST', INSTANCES, { name: 'i1' })
  assert.equal((await api.get(`${INSTANCES}/i1`)).status, 'RUNNING')
})

test('metadata of a project is for its machines, too: the operation runs until the provider has tried', async (t) => {
  const { api, provider, pass, begin, wait } = testMachines(t)
  await pass()
  const { fingerprint } = (await api.get('')).commonInstanceMetadata as Mapping
  const items = [{ key: 'ssh-keys', value: 'me:ssh-ed25519 AAAA' }]
  const { closed, open } = gate()
  provider.gate = closed
  const waiting = wait(await begin('POST', 'setCommonInstanceMetadata', { fingerprint, items }), 'global')
  await pass()
  assert.deepEqual(provider.asked.at(-1)?.projects[0].resource.commonInstanceMetadata, { items })
  open()
  await pass()
  const { body } = await waiting
  assert.deepEqual([body.status, body.warnings], ['DONE', undefined])
})

test('a project begins with the rules of Google’s default network, which can be deleted for good', async (t) => {
  const { api, pass, begin, wait } = testMachines(t)
  const shown = async () => {
    const items = ((await api.get('global/firewalls')).items ?? []) as readonly Mapping[]
    return items.map(({ name, priority, sourceRanges, allowed, network, direction, disabled }) => {
      assert.deepEqual(
        [network, direction, disabled],
        ['http://h/compute/v1/projects/p/global/networks/default', 'INGRESS', false],
      )
      const traffic = (allowed as readonly Mapping[]).map(({ IPProtocol, ports }) => `${IPProtocol}:${ports ?? ''}`)
      return `${name} ${priority} ${sourceRanges} ${traffic.join(' ')}`
    })
  }
  const all = [
    'default-allow-icmp 65534 0.0.0.0/0 icmp:',
    'default-allow-internal 65534 10.128.0.0/9 tcp:0-65535 udp:0-65535 icmp:',
    'default-allow-rdp 65534 0.0.0.0/0 tcp:3389',
    'default-allow-ssh 65534 0.0.0.0/0 tcp:22',
  ]
  assert.deepEqual(await shown(), all)
  const { fingerprint: _, ...whole } = await api.get('global/firewalls/default-allow-ssh')
  const { creationTimestamp, ...made } = whole
  assert.equal(typeof creationTimestamp, 'string')
  for (const name of ['default-allow-ssh', 'default-allow-rdp']) {
    const deletion = wait(await begin('DELETE', `global/firewalls/${name}`), 'global')
    await pass()
    assert.equal((await deletion).body.error, undefined)
  }
  mock.timers.reset()
  const restarted = testMachines(t, api.store as MemoryStore)
  assert.deepEqual(
    ((await restarted.api.get('global/firewalls')).items as readonly Mapping[]).map(({ name }) => name),
    ['default-allow-icmp', 'default-allow-internal'],
  )
  await restarted.begin('POST', 'global/firewalls', {
    name: 'default-allow-ssh',
    allowed: [{ IPProtocol: 'tcp', ports: ['22'] }],
    priority: 65_534,
    description: 'Allow SSH from anywhere',
  })
  const again = await restarted.api.get('global/firewalls/default-allow-ssh')
  assert.deepEqual(
    { ...again, id: '', creationTimestamp: '' },
    { ...made, id: '', creationTimestamp: '' },
    'they are as a client makes them',
  )
})

test('a machine starts anew by start when it is down, and by reset whenever it is wanted', async (t) => {
  const { api, provider, pass, begin } = testMachines(t)
  await pass()
  await begin('POST', INSTANCES, { name: 'i1' })
  await pass()
  const started = () => api.store.get('p', 'instances', zone, 'i1')?.resource.lastStartTimestamp
  const changes = async (action: string): Promise<boolean> => {
    const before = started()
    await begin('POST', `${INSTANCES}/i1/${action}`)
    await pass()
    return started() !== before
  }
  assert.deepEqual([await changes('start'), await changes('reset')], [false, true], 'what runs goes on')
  provider.report(pathTo('i1'), { status: 'TERMINATED', message: 'It has ended by itself' })
  assert.equal(await changes('start'), true)
  provider.report(pathTo('i1'), { status: 'RUNNING' })
  assert.deepEqual([await changes('stop'), await changes('start')], [false, true])
})

test('the serial port shows what a machine has written, from where it was read before', async (t) => {
  const { api, provider, pass, begin } = testMachines(t)
  await pass()
  await begin('POST', INSTANCES, { name: 'i1' })
  const read = async (query: string) => {
    const { contents, start, next } = await api.get(`${INSTANCES}/i1/serialPort${query}`)
    return [contents, start, next]
  }
  assert.deepEqual(await read(''), ['', '0', '0'], 'nothing yet')
  provider.serial.set(pathTo('i1'), 'one\ntwo\n')
  assert.deepEqual(await read(''), ['one\ntwo\n', '0', '8'])
  assert.deepEqual(await read('?port=1&start=4'), ['two\n', '4', '8'])
  assert.deepEqual(await read('?port=2&start=4'), ['', '4', '4'])
  for (const query of ['?port=5', '?port=0', '?port=x', '?start=-1']) {
    assert.match(await api.refusal('GET', `${INSTANCES}/i1/serialPort${query}`), /^400 invalid: /, query)
  }
})

test('what a controller before this one left unfinished ends with the first try, well or not', async (t) => {
  const { api, provider, pass, begin } = testMachines(t)
  await pass()
  provider.gate = new Promise(() => {})
  const operations = [await begin('POST', INSTANCES, { name: 'i1' }), await begin('POST', INSTANCES, { name: 'i2' })]
  await pass()
  api.machines?.close()
  assert.equal(provider.signals.at(-1)?.aborted, true)
  await pass(1_000_000)
  assert.equal(api.store.unfinished().length, 2, 'an end is no failure')
  mock.timers.reset()
  const restarted = testMachines(t, api.store as MemoryStore)
  restarted.provider.failures = [{ path: pathTo('i2'), message: 'x' }]
  await restarted.pass()
  const [first, second] = await Promise.all(
    operations.map(({ name }) => restarted.api.get(`${zone}/operations/${name}`)),
  )
  assert.deepEqual([first.status, first.error], ['DONE', undefined])
  assert.match(JSON.stringify(second.error), /"x"/)
})

test('wait answers after two minutes, or when the controller ends, with an operation that is still running', async (t) => {
  const { api, provider, pass, begin, wait } = testMachines(t)
  await pass()
  provider.gate = new Promise(() => {})
  const operation = await begin('POST', INSTANCES, { name: 'i1' })
  const answers: Answer[] = []
  void wait(operation).then((answer) => answers.push(answer))
  await pass(119_000)
  assert.equal(answers.length, 0)
  await pass(1_000)
  void wait(operation).then((answer) => answers.push(answer))
  await pass()
  assert.equal(answers.length, 1)
  api.api.close()
  await pass()
  answers.push(await wait(operation))
  assert.deepEqual(
    answers.map(({ status, body }) => [status, body.status]),
    Array(3).fill([200, 'RUNNING']),
  )
})

test('wait ends with whoever ends the operation', async (t) => {
  const { api, provider, pass, begin, wait } = testMachines(t)
  await pass()
  provider.gate = new Promise(() => {})
  const [operation, other] = [
    await begin('POST', INSTANCES, { name: 'i1' }),
    await begin('POST', INSTANCES, { name: 'i2' }),
  ]
  const waiting = wait(operation)
  await pass()
  const end = async ({ name }: Mapping): Promise<void> => {
    const stored = api.store.operation('p', zone, String(name))
    assert.ok(stored)
    const resource = { ...stored.resource, status: 'DONE' }
    await api.store.commit({ changes: [], operation: { ...stored, isDone: true, resource } })
  }
  await end(other)
  let hasEnded = false
  void waiting.then(() => {
    hasEnded = true
  })
  await pass()
  assert.equal(hasEnded, false, 'another one has ended')
  await end(operation)
  assert.equal((await waiting).body.status, 'DONE')
})

test('guest attributes are what the machine of an instance has written, by namespace and key', async (t) => {
  const { api, provider, pass, begin } = testMachines(t)
  await pass()
  await begin('POST', INSTANCES, { name: 'i1' })
  const path = `${INSTANCES}/i1/getGuestAttributes`
  assert.match(await api.refusal('GET', path), /^404 notFound: .*\/i1\/guestAttributes\/' was not found/)
  const [rsa, ed25519] = ['ssh-rsa', 'ssh-ed25519'].map((key) => ({ namespace: 'hostkeys', key, value: `the ${key}` }))
  const other = { namespace: 'app', key: 'state', value: 'ready' }
  provider.guest.set(
    pathTo('i1'),
    new Map([
      ['hostkeys', new Map([rsa, ed25519].map(({ key, value }) => [key, value]))],
      ['app', new Map([['state', 'ready']])],
    ]),
  )
  const read = async (query: string) => {
    const { queryValue } = await api.get(`${path}?queryPath=${query}`)
    return (queryValue as { readonly items: unknown }).items
  }
  assert.deepEqual(await read(''), [rsa, ed25519, other])
  assert.deepEqual(await read('hostkeys/'), [rsa, ed25519])
  assert.deepEqual(await read('hostkeys/ssh-rsa'), [rsa])
  assert.equal((await api.get(`${path}?variableKey=app/state`)).variableValue, 'ready')
  assert.match(await api.refusal('GET', `${path}?queryPath=none/`), /^404 notFound: /)
})

test('what no machine can be made of is refused before anything is stored or any address is taken', async (t) => {
  const { api, provider, pass } = testMachines(t, new MemoryStore(), { natPools: ['198.51.100.0/24'] })
  provider.zones = ['us-central1-b', 'us-central1-a', 'europe-west1-b']
  await pass()
  provider.takeCount()
  const revision = api.store.revision()
  const configs = [{ type: 'ONE_TO_ONE_NAT' }]
  const at = (fields: Mapping): Mapping => ({ name: 'vm', networkInterfaces: [{ accessConfigs: configs, ...fields }] })
  const there = 'Machines are made only in us-central1-b, us-central1-a, europe-west1-b$'
  const subnet = 'It is not an address for an instance of us-central1; give one of 10\\.128\\.0\\.0/20$'
  for (const [path, body, says] of [
    ['zones/us-east1-b/instances', at({}), `'zone': 'us-east1-b'. Unknown zone. ${there}`],
    ['zones/us-central1/instances', at({}), `'zone': 'us-central1'. Unknown zone. ${there}`],
    ['zones/us-east1-b/instanceGroups', { name: 'g' }, `'zone': 'us-east1-b'. Unknown zone. ${there}`],
    [
      'regions/us-east1/healthChecks',
      { name: 'hc', type: 'TCP', tcpHealthCheck: { port: 1 } },
      `'region': 'us-east1'. Unknown region. Machines are made only in europe-west1, us-central1$`,
    ],
    [INSTANCES, at({ networkIP: '10.132.0.2' }), `networkIP': '10.132.0.2'. ${subnet}`],
    [INSTANCES, at({ networkIP: '10.128.0.1' }), `networkIP': '10.128.0.1'. ${subnet}`],
    [INSTANCES, at({ networkIP: '209.52.88.4' }), `networkIP': '209.52.88.4'. ${subnet}`],
    [
      INSTANCES,
      at({ accessConfigs: [{ natIP: '209.52.88.4' }] }),
      `natIP': '209.52.88.4'. It leads to no instance here; `,
    ],
    [INSTANCES, { ...at({}), hostname: 'a b' }, `'resource.hostname': 'a b'`],
  ] as const) {
    assert.match(await api.refusal('POST', path, body), new RegExp(`^400 invalid: .*${says}`), path)
  }
  assert.match(
    await api.refusal('GET', 'zones/us-east1-b'),
    /^404 notFound: .* was not found; there are us-central1-b, /,
  )
  assert.match(await api.refusal('GET', 'regions/us-east1'), /^404 notFound: .* there are europe-west1, us-central1$/)
  await pass()
  assert.deepEqual([api.store.revision(), provider.takeCount()], [revision, 0])
  const names = async (path: string) => ((await api.get(path)).items as readonly Mapping[]).map(({ name }) => name)
  assert.deepEqual(await names('zones'), ['europe-west1-b', 'us-central1-a', 'us-central1-b'])
  assert.deepEqual(await names('regions'), ['europe-west1', 'us-central1'])
  await api.send('POST', INSTANCES, at({}))
  const [{ networkIP, accessConfigs }] = (await api.get(`${INSTANCES}/vm`)).networkInterfaces as readonly Mapping[]
  assert.deepEqual([networkIP, (accessConfigs as readonly Mapping[])[0].natIP], ['10.128.0.2', '198.51.100.1'])
})
