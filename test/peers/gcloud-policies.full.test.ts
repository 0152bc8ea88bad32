// gcloud's commands about which backend gets a connection: service LB policies, and what a backend service says itself.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Gcloud, noGcloud, withGcloud } from './gcloud.ts'

type Json = Readonly<Record<string, unknown>>

const NAME = 'projects/p/locations/global/serviceLbPolicies/pol'
const GROUP = ['--instance-group', 'g', '--instance-group-zone', 'us-central1-b']
const MANAGED = ['--global', '--protocol', 'TCP', '--load-balancing-scheme', 'EXTERNAL_MANAGED']

/** `gcloud network-services service-lb-policies …`, which has to succeed; returns what it printed. */
async function policies(gcloud: Gcloud, command: string, track?: 'alpha' | 'beta'): Promise<string> {
  const group = ['network-services', 'service-lb-policies']
  const words = [...(track === undefined ? [] : [track]), ...group, ...command.split(' '), '--location=global']
  const { status, stdout, stderr } = await gcloud.runAny(...words)
  assert.equal(status, 0, `${words.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

async function described(gcloud: Gcloud, name: string): Promise<Json> {
  const {
    name: path,
    createTime,
    updateTime,
    ...fields
  } = JSON.parse(await policies(gcloud, `describe ${name} --format=json`)) as Json
  assert.equal(path, `projects/p/locations/global/serviceLbPolicies/${name}`)
  for (const time of [createTime, updateTime]) assert.match(String(time), /^20..-/)
  return fields
}

test('service-lb-policies: create, describe, list, update, export, import, delete', { skip: noGcloud }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-policies-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  await withGcloud(async (gcloud) => {
    const flags = '--load-balancing-algorithm=spray-to-region --auto-capacity-drain --failover-health-threshold=60'
    await policies(gcloud, `create pol ${flags} --description=d`)
    const made = {
      autoCapacityDrain: { enable: true },
      description: 'd',
      failoverConfig: { failoverHealthThreshold: 60 },
      loadBalancingAlgorithm: 'SPRAY_TO_REGION',
    }
    assert.deepEqual(await described(gcloud, 'pol'), made)

    await policies(gcloud, 'update pol --load-balancing-algorithm=waterfall-by-zone')
    const updated = { ...made, loadBalancingAlgorithm: 'WATERFALL_BY_ZONE' }
    assert.deepEqual(await described(gcloud, 'pol'), updated)

    const isolation = '--isolation-config-granularity=region --isolation-config-mode=strict'
    await policies(gcloud, `create iso ${isolation}`, 'beta')
    const iso = await described(gcloud, 'iso')
    assert.deepEqual(iso.isolationConfig, { isolationGranularity: 'REGION', isolationMode: 'STRICT' })
    await policies(gcloud, 'update iso --load-balancing-algorithm=spray-to-world', 'beta')
    assert.equal((await described(gcloud, 'iso')).loadBalancingAlgorithm, 'SPRAY_TO_WORLD')
    assert.deepEqual((await policies(gcloud, 'list --format=value(name.basename())')).trim().split('\n'), [
      'iso',
      'pol',
    ])
    assert.equal((await policies(gcloud, 'list --filter=description:d --format=value(name)')).trim(), 'pol')

    const file = join(directory, 'policy.yaml')
    await policies(gcloud, `export pol --destination=${file}`)
    const text = readFileSync(file, 'utf8')
    assert.match(text, /loadBalancingAlgorithm: WATERFALL_BY_ZONE/)
    writeFileSync(
      file,
      text.replace('WATERFALL_BY_ZONE', 'SPRAY_TO_WORLD').replace(/^description: d$/m, 'description: e'),
    )
    await policies(gcloud, `import pol --source=${file}`)
    assert.deepEqual(await described(gcloud, 'pol'), {
      ...made,
      description: 'e',
      loadBalancingAlgorithm: 'SPRAY_TO_WORLD',
    })
    await policies(gcloud, `import pol --source=${file}`)
    await policies(gcloud, `import copy --source=${file}`)
    assert.equal((await described(gcloud, 'copy')).description, 'e')
    await policies(gcloud, 'update copy --no-auto-capacity-drain --failover-health-threshold=80 --description=f')
    const { autoCapacityDrain, failoverConfig, description } = await described(gcloud, 'copy')
    assert.ok(!(autoCapacityDrain as Json | undefined)?.enable)
    assert.deepEqual([failoverConfig, description], [{ failoverHealthThreshold: 80 }, 'f'])
    const nearest = '--isolation-config-granularity=region --isolation-config-mode=nearest'
    await policies(gcloud, `update iso ${nearest}`, 'alpha')
    assert.equal(((await described(gcloud, 'iso')).isolationConfig as Json).isolationMode, 'NEAREST')
    await policies(gcloud, 'update iso --description=later --async')
    assert.equal((await described(gcloud, 'iso')).description, 'later')

    for (const name of ['pol', 'iso']) await policies(gcloud, `delete ${name}`)
    await policies(gcloud, 'delete copy --async')
    assert.equal((await policies(gcloud, 'list --format=value(name)')).trim(), '')
    const lost = await gcloud.runAny('network-services', 'service-lb-policies', 'describe', 'pol', '--location=global')
    assert.equal(lost.status, 1)
    assert.match(lost.stderr, new RegExp(`NOT_FOUND: Resource '${NAME}' was not found`))
  })
})

test('backend-services: each flag of the choice of a backend', { skip: noGcloud }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-services-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  await withGcloud(async (gcloud) => {
    const service = async (name = 'b'): Promise<Json> => {
      const text = await gcloud.run('backend-services', 'describe', name, '--global', '--format=json')
      return JSON.parse(text.stdout) as Json
    }
    const update = (...flags: readonly string[]) =>
      gcloud.succeed('backend-services', 'update', 'b', '--global', ...flags)
    await policies(gcloud, 'create pol')
    const flags = ['--locality-lb-policy=LEAST_REQUEST', '--session-affinity=CLIENT_IP', '--service-lb-policy=pol']
    await gcloud.succeed('backend-services', 'create', 'b', ...MANAGED, ...flags)
    const made = await service()
    assert.deepEqual([made.localityLbPolicy, made.sessionAffinity], ['LEAST_REQUEST', 'CLIENT_IP'])
    assert.equal(made.serviceLbPolicy, `//networkservices.googleapis.com/${NAME}`)
    for (const field of ['consistentHash', 'circuitBreakers', 'outlierDetection']) assert.ok(!(field in made), field)

    const inUse = await gcloud.runAny('network-services', 'service-lb-policies', 'delete', 'pol', '--location=global')
    assert.equal(inUse.status, 1)
    assert.match(
      inUse.stderr,
      /FAILED_PRECONDITION: The service_lb_policy resource '.*' is already being used by '.*\/b'/,
    )
    await update('--no-service-lb-policy')
    assert.ok(!('serviceLbPolicy' in (await service())))
    await update('--service-lb-policy=pol')
    assert.equal((await service()).serviceLbPolicy, `//networkservices.googleapis.com/${NAME}`)

    for (const policy of ['ROUND_ROBIN', 'RANDOM', 'RING_HASH', 'MAGLEV']) {
      await update(`--locality-lb-policy=${policy}`)
      assert.equal((await service()).localityLbPolicy, policy)
    }
    for (const affinity of ['NONE', 'CLIENT_IP_PROTO', 'CLIENT_IP_PORT_PROTO', 'CLIENT_IP']) {
      await update(`--session-affinity=${affinity}`)
      assert.equal((await service()).sessionAffinity, affinity)
    }

    await gcloud.succeed('instance-groups', 'unmanaged', 'create', 'g', '--zone', 'us-central1-b')
    const target = ['--balancing-mode=CONNECTION', '--max-connections-per-instance=100', '--capacity-scaler=0.5']
    await gcloud.succeed(
      'backend-services',
      'add-backend',
      'b',
      '--global',
      ...GROUP,
      ...target,
      '--preference=PREFERRED',
    )
    const [backend] = (await service()).backends as readonly Json[]
    assert.deepEqual(
      [backend.balancingMode, backend.maxConnectionsPerInstance, backend.capacityScaler, backend.preference],
      ['CONNECTION', 100, 0.5, 'PREFERRED'],
    )
    const change = [
      '--balancing-mode=UTILIZATION',
      '--max-utilization=0.7',
      '--max-connections=50',
      '--preference=DEFAULT',
    ]
    await gcloud.succeed('backend-services', 'update-backend', 'b', '--global', ...GROUP, ...change)
    const [changed] = (await service()).backends as readonly Json[]
    assert.deepEqual(
      [changed.balancingMode, changed.maxUtilization, changed.maxConnections, changed.preference],
      ['UTILIZATION', 0.7, 50, 'DEFAULT'],
    )

    const neg = ['--network-endpoint-group', 'neg', '--network-endpoint-group-zone', 'us-central1-b']
    const kind = ['--network-endpoint-type=non-gcp-private-ip-port', '--zone', 'us-central1-b']
    await gcloud.succeed('network-endpoint-groups', 'create', 'neg', ...kind)
    const perEndpoint = ['--balancing-mode=CONNECTION', '--max-connections-per-endpoint=7', '--capacity-scaler=0']
    await gcloud.succeed('backend-services', 'add-backend', 'b', '--global', ...neg, ...perEndpoint)
    const drained = ((await service()).backends as readonly Json[])[1]
    assert.deepEqual([drained.maxConnectionsPerEndpoint, drained.capacityScaler], [7, 0])
    const whole = ['--max-connections=9', '--capacity-scaler=1.0']
    await gcloud.succeed('backend-services', 'update-backend', 'b', '--global', ...neg, ...whole)
    const ready = ((await service()).backends as readonly Json[])[1]
    assert.deepEqual([ready.maxConnections, ready.maxConnectionsPerEndpoint, ready.capacityScaler], [9, undefined, 1])
    await gcloud.succeed('backend-services', 'remove-backend', 'b', '--global', ...neg)

    // There are no flags for these: a file has them.
    const file = join(directory, 'service.yaml')
    await gcloud.succeed('backend-services', 'export', 'b', '--global', `--destination=${file}`)
    const more = `
circuitBreakers:
  maxConnections: 1000
consistentHash:
  minimumRingSize: 4096
outlierDetection:
  baseEjectionTime:
    seconds: 20
  consecutiveGatewayFailure: 4
  interval:
    nanos: 500000000
    seconds: 2
`
    writeFileSync(file, `${readFileSync(file, 'utf8')}${more.trimStart()}`)
    await gcloud.succeed('backend-services', 'import', 'b', '--global', `--source=${file}`)
    const imported = await service()
    assert.deepEqual(imported.circuitBreakers, { maxConnections: 1000 })
    assert.deepEqual(imported.consistentHash, { minimumRingSize: '4096' })
    assert.deepEqual(imported.outlierDetection, {
      baseEjectionTime: { seconds: '20' },
      consecutiveGatewayFailure: 4,
      interval: { nanos: 500_000_000, seconds: '2' },
    })
    await update('--timeout=10m')
    assert.deepEqual((await service()).outlierDetection, imported.outlierDetection)
  })
})

test('backend-services: what Google refuses is refused in its words', { skip: noGcloud }, async () => {
  await withGcloud(async (gcloud) => {
    const classic = ['--global', '--protocol', 'TCP', '--load-balancing-scheme', 'EXTERNAL']
    const zone = ['--zone', 'us-central1-b']
    await gcloud.succeed('instance-groups', 'unmanaged', 'create', 'g', ...zone)
    for (const name of ['one', 'two']) await gcloud.succeed('backend-services', 'create', name, ...classic)
    const utilization = ['--balancing-mode=UTILIZATION']
    await gcloud.succeed('backend-services', 'add-backend', 'one', '--global', ...GROUP, ...utilization)
    const add = ['backend-services', 'add-backend', 'two', '--global']
    const create = ['backend-services', 'create', 'three']
    const rule = ['forwarding-rules', 'create', 'rule', '--global', '--target-tcp-proxy=proxy', '--ports=110']
    const refused: readonly (readonly [args: readonly string[], words: RegExp])[] = [
      [
        [...create, ...classic, '--locality-lb-policy=MAGLEV'],
        /'resource.localityLbPolicy': 'MAGLEV'. A locality load balancing policy is not supported with the load balancing scheme EXTERNAL/,
      ],
      [[...create, ...MANAGED, '--service-lb-policy=lost'], /serviceLbPolicies\/lost' was not found/],
      [
        [...add, ...GROUP, '--balancing-mode=CONNECTION'],
        /Either maxConnections or maxConnectionsPerInstance should be set with CONNECTION mode/,
      ],
      [
        [...add, ...GROUP, '--balancing-mode=CONNECTION', '--max-connections=5'],
        /Validation failed for instance group '.*': backend services 'one' and 'two' point to the same instance group but the backends have incompatible balancing_mode/,
      ],
      [[...add, ...GROUP, ...utilization, '--preference=PREFERRED'], /A preferred backend is not supported/],
      [[...add, ...GROUP, ...utilization, '--capacity-scaler=0.05'], /'resource.backends\[0\].capacityScaler': '0.05'/],
      [[...add, ...GROUP, ...utilization, '--capacity-scaler=0'], /0 drains the only group/],
      [
        [...rule, '--load-balancing-scheme=EXTERNAL_MANAGED'],
        /Load balancing scheme EXTERNAL_MANAGED does not match the backend service load balancing scheme EXTERNAL/,
      ],
    ]
    await gcloud.succeed('target-tcp-proxies', 'create', 'proxy', '--backend-service', 'one')
    for (const [args, words] of refused) assert.match(await gcloud.fail(...args), words)
  })
})
