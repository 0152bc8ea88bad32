import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeCertificate } from '../../src/controller/api/test-api.ts'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import { readToEnd } from '../../src/lab/sockets.ts'
import { startFollowingEdge } from '../rig/controller.ts'
import { testDirectory } from '../rig/directory.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { type Gcloud, guideRows, noGcloud, withGcloud } from './gcloud.ts'

const zone = ['--zone', 'us-central1-b']

test('the guide, row by row, and everything after it, with Google’s own gcloud', { skip: noGcloud }, async (t) => {
  await withGcloud(async (gcloud, { url, unix }) => {
    const directory = testDirectory(t)
    const files = { certificate: join(directory, 'fullchain.pem'), privateKey: join(directory, 'privkey.pem') }
    const made = makeCertificate()
    writeFileSync(files.certificate, made.certificate)
    writeFileSync(files.privateKey, made.privateKey)
    for (const [args, output] of guideRows(files)) {
      await t.test(args.slice(0, 4).join(' '), async () => assert.match(await gcloud.succeed(...args), output))
    }
    await t.test('a rule at an address and port in use is refused', () => conflict(gcloud))
    await t.test('a live edge serves what was built', (inner) => serve(inner, gcloud, unix))
    await t.test('describe', () => describe(gcloud, url, made.privateKey))
    await t.test('list with --filter, --format, --sort-by and --uri', () => list(gcloud, url))
    await t.test('health, members and places', () => look(gcloud))
    await t.test('update', () => update(gcloud))
    await t.test('several calls in a batch', () => batch(gcloud))
    await t.test('instances stop, start and change', () => changeInstance(gcloud))
    await t.test('delete in the wrong order, then in the right one', () => remove(gcloud))
  })
})

async function conflict(gcloud: Gcloud): Promise<void> {
  const target = ['--target-ssl-proxy', 'my-ssl-lb-target-proxy']
  const place = ['--address', IPV4.edge, '--ports', '110']
  const said = await gcloud.fail('forwarding-rules', 'create', 'again', '--global', ...target, ...place)
  assert.match(
    said,
    /Could not fetch resource:\n - Invalid value for field 'resource.IPAddress': '203\.0\.113\.10'. Specified IP address is in-use/,
  )
  const bad = await gcloud.fail('health-checks', 'create', 'tcp', 'Bad', '--port', '1')
  assert.match(bad, /Must be a match of regex/)
  const unknown = await gcloud.fail(
    'backend-services',
    'create',
    'b',
    '--global',
    '--protocol',
    'TCP',
    '--health-checks',
    'nope',
    '--global-health-checks',
  )
  assert.match(unknown, /The resource 'projects\/p\/global\/healthChecks\/nope' was not found/)
}

/** The app answers with what it was sent: the PROXY header names the client and the load balancer. */
async function serve(t: TestContext, gcloud: Gcloud, controller: string): Promise<void> {
  const { backend, edge, client } = await edgeHosts(t)
  await backend.listen(`${IPV4.backend}:110`, (socket) => socket.once('data', (bytes) => socket.end(bytes)))
  await startFollowingEdge(edge, controller, testDirectory(t), ['--zone', 'us-central1-b'])
  await eventually('the edge listens and its backend is healthy', async () => {
    const socket = await client.connect({ to: `${IPV4.edge}:110` }).catch(() => undefined)
    const answer = socket === undefined ? '' : String(await readToEnd(socket).catch(() => ''))
    return new RegExp(`^PROXY TCP4 ${IPV4.client} ${IPV4.edge} \\d+ 110\r\n$`).test(answer)
  })
  await eventually('its health has arrived', async () => {
    return /healthState: HEALTHY/.test(await gcloud.succeed('backend-services', 'get-health', 'my-tcp-lb', '--global'))
  })
}

async function describe(gcloud: Gcloud, url: string, privateKey: string): Promise<void> {
  const json = async (...args: readonly string[]) => JSON.parse((await gcloud.run(...args, '--format=json')).stdout)
  const prefix = `${url}/compute/v1/projects/p`
  const service = await json('backend-services', 'describe', 'my-tcp-lb', '--global')
  assert.deepEqual(service.backends, [
    {
      balancingMode: 'UTILIZATION',
      capacityScaler: 1,
      group: `${prefix}/zones/us-central1-b/instanceGroups/my-instance-group`,
      maxUtilization: 0.8,
    },
  ])
  assert.deepEqual([service.timeoutSec, service.portName, service.loadBalancingScheme], [300, 'tcp110', 'EXTERNAL'])
  const rule = await json('forwarding-rules', 'describe', 'my-tcp-lb-ipv4-forwarding-rule', '--global')
  assert.deepEqual([rule.IPAddress, rule.portRange, rule.IPProtocol], [IPV4.edge, '110-110', 'TCP'])
  assert.equal(rule.target, `${prefix}/global/targetTcpProxies/my-tcp-lb-target-proxy`)
  const certificate = await gcloud.succeed('ssl-certificates', 'describe', 'my-ssl-cert')
  assert.match(certificate, /subjectAlternativeNames:\n- lb.example.com/)
  assert.ok(!certificate.includes(privateKey.split('\n')[1]))
  assert.match(
    await gcloud.succeed('ssl-policies', 'describe', 'my-ssl-policy'),
    /enabledFeatures:\n- TLS_AES_128_GCM_SHA256/,
  )
  const instance = await json('instances', 'describe', 'my-backend', ...zone)
  assert.deepEqual([instance.status, instance.tags.items], ['RUNNING', ['tcp-lb']])
  assert.match(
    await gcloud.succeed('addresses', 'describe', 'lb-static-ipv4', '--global'),
    /status: IN_USE\nusers:\n- /,
  )
}

async function list(gcloud: Gcloud, url: string): Promise<void> {
  const value = async (...args: readonly string[]) => (await gcloud.run(...args)).stdout.trim()
  assert.equal(
    await value('addresses', 'list', '--filter=name=lb-static-ipv4 AND status=IN_USE', '--format=value(address)'),
    IPV4.edge,
  )
  assert.equal(await value('addresses', 'list', '--filter=status=RESERVED', '--format=value(name)'), '')
  assert.equal(
    await value('forwarding-rules', 'list', '--sort-by=~name', '--format=csv[no-heading](name,portRange)'),
    'my-tcp-lb-ipv4-forwarding-rule,110-110\nmy-ssl-lb-ipv4-forwarding-rule,995-995',
  )
  assert.equal(
    await value('target-tcp-proxies', 'list', '--uri'),
    `${url}/compute/v1/projects/p/global/targetTcpProxies/my-tcp-lb-target-proxy`,
  )
  assert.match(
    await value('backend-services', 'list'),
    /my-tcp-lb +us-central1-b\/instanceGroups\/my-instance-group +TCP/,
  )
  assert.match(await value('instance-groups', 'list'), /my-instance-group +us-central1-b +zone +default +No +1/)
  assert.match(await value('target-ssl-proxies', 'list'), /my-ssl-lb-target-proxy/)
  assert.match(await value('firewall-rules', 'list'), /allow-lb-and-health/)
  const operations = await value('operations', 'list', '--format=value(operationType)', '--limit=100')
  assert.ok(operations.split('\n').filter((type) => type === 'insert').length >= 12, operations)
}

async function look(gcloud: Gcloud): Promise<void> {
  assert.match(
    await gcloud.succeed('backend-services', 'get-health', 'my-tcp-lb', '--global'),
    /healthState: \w+\n.*\n +ipAddress: 10\.128\.0\.2\n +port: 110/,
  )
  assert.match(
    await gcloud.succeed('instance-groups', 'unmanaged', 'list-instances', 'my-instance-group', ...zone),
    /my-backend +RUNNING/,
  )
  assert.match(await gcloud.succeed('instance-groups', 'get-named-ports', 'my-instance-group', ...zone), /tcp110 +110/)
  assert.match(await gcloud.succeed('zones', 'list'), /us-central1-b +us-central1 +UP/)
  assert.match(await gcloud.succeed('regions', 'list'), /us-central1/)
  assert.match(await gcloud.succeed('networks', 'list'), /default/)
  assert.match(await gcloud.succeed('ssl-policies', 'list-available-features'), /TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256/)
  assert.match(await gcloud.succeed('project-info', 'describe'), /kind: compute#project/)
}

async function update(gcloud: Gcloud): Promise<void> {
  await gcloud.succeed('health-checks', 'update', 'tcp', 'my-tcp-health-check', '--check-interval', '7s', '--global')
  await gcloud.succeed(
    'backend-services',
    'update',
    'my-tcp-lb',
    '--global',
    '--timeout',
    '600',
    '--connection-draining-timeout',
    '120',
    '--enable-logging',
    '--logging-sample-rate',
    '0.5',
  )
  const group = ['--instance-group', 'my-instance-group', '--instance-group-zone', 'us-central1-b']
  await gcloud.succeed(
    'backend-services',
    'update-backend',
    'my-tcp-lb',
    '--global',
    ...group,
    '--max-utilization',
    '0.5',
  )
  const service = JSON.parse(
    (await gcloud.run('backend-services', 'describe', 'my-tcp-lb', '--global', '--format=json')).stdout,
  )
  assert.deepEqual(
    [
      service.timeoutSec,
      service.connectionDraining.drainingTimeoutSec,
      service.logConfig.sampleRate,
      service.backends[0].maxUtilization,
    ],
    [600, 120, 0.5, 0.5],
  )
  const refused = await gcloud.fail(
    'backend-services',
    'update-backend',
    'my-tcp-lb',
    '--global',
    ...group,
    '--capacity-scaler',
    '0',
  )
  assert.match(refused, /capacityScaler/)
  await gcloud.succeed('ssl-policies', 'update', 'my-ssl-policy', '--profile', 'RESTRICTED', '--min-tls-version', '1.2')
  await gcloud.succeed('target-tcp-proxies', 'update', 'my-tcp-lb-target-proxy', '--proxy-header', 'NONE')
  assert.match(await gcloud.succeed('target-tcp-proxies', 'describe', 'my-tcp-lb-target-proxy'), /proxyHeader: NONE/)
  await gcloud.succeed(
    'forwarding-rules',
    'set-target',
    'my-tcp-lb-ipv4-forwarding-rule',
    '--global',
    '--target-tcp-proxy',
    'my-tcp-lb-target-proxy',
  )
  await gcloud.succeed('firewall-rules', 'update', 'allow-lb-and-health', '--allow', 'tcp:110,tcp:995')
  await gcloud.succeed(
    'forwarding-rules',
    'update',
    'my-tcp-lb-ipv4-forwarding-rule',
    '--global',
    '--update-labels',
    'env=test',
  )
  assert.match(
    await gcloud.succeed('forwarding-rules', 'list', '--global', '--filter=labels.env=test', '--format=value(name)'),
    /my-tcp-lb-ipv4/,
  )
}

async function batch(gcloud: Gcloud): Promise<void> {
  const updated = await gcloud.succeed(
    'target-ssl-proxies',
    'update',
    'my-ssl-lb-target-proxy',
    '--proxy-header',
    'NONE',
    '--clear-ssl-policy',
  )
  assert.equal(updated.match(/Updated \[/g)?.length, 2)
  await gcloud.succeed('health-checks', 'create', 'http', 'h1', '--port', '80', '--request-path', '/healthz')
  await gcloud.succeed('health-checks', 'create', 'grpc', 'h2', '--port', '81', '--global')
  assert.equal(
    (await gcloud.succeed('health-checks', 'delete', 'h1', 'h2', '--global')).match(/Deleted \[/g)?.length,
    2,
  )
  const created = await gcloud.succeed('instances', 'create', 'i1', 'i2', ...zone)
  assert.match(created, /i1 +us-central1-b +n1-standard-1 +10\.128\.0\.3/)
  assert.match(created, /i2 +us-central1-b +n1-standard-1 +10\.128\.0\.4/)
  assert.match(created, /--private-network-ip/, 'the warning reaches the user')
  await gcloud.succeed('addresses', 'create', 'a1', 'a2', '--global')
  await gcloud.succeed('addresses', 'delete', 'a1', 'a2', '--global')
}

async function changeInstance(gcloud: Gcloud): Promise<void> {
  await gcloud.succeed('instances', 'stop', 'i1', ...zone)
  assert.match(await gcloud.succeed('instances', 'list', '--filter=status=TERMINATED'), /i1/)
  await gcloud.succeed('instances', 'start', 'i1', ...zone)
  await gcloud.succeed('instances', 'reset', 'i1', ...zone)
  await gcloud.succeed('instances', 'add-tags', 'i1', '--tags', 'a,b', ...zone)
  await gcloud.succeed('instances', 'remove-tags', 'i1', '--tags', 'a', ...zone)
  await gcloud.succeed('instances', 'add-metadata', 'i1', '--metadata', 'k=v', ...zone)
  await gcloud.succeed('instances', 'remove-metadata', 'i1', '--keys', 'k', ...zone)
  await gcloud.succeed('instances', 'update', 'i1', '--update-labels', 'env=test', ...zone)
  await gcloud.succeed('instances', 'get-serial-port-output', 'i1', ...zone)
  const described = await gcloud.succeed(
    'instances',
    'describe',
    'i1',
    ...zone,
    '--format=json(tags.items,labels,metadata.items)',
  )
  assert.deepEqual(JSON.parse(described), { labels: { env: 'test' }, tags: { items: ['b'] } })
  await gcloud.succeed('instances', 'delete', 'i1', 'i2', ...zone)
}

async function remove(gcloud: Gcloud): Promise<void> {
  const order = [
    ['forwarding-rules', 'delete', 'my-tcp-lb-ipv4-forwarding-rule', 'my-ssl-lb-ipv4-forwarding-rule', '--global'],
    ['target-tcp-proxies', 'delete', 'my-tcp-lb-target-proxy'],
    ['target-ssl-proxies', 'delete', 'my-ssl-lb-target-proxy'],
    ['ssl-certificates', 'delete', 'my-ssl-cert'],
    ['backend-services', 'delete', 'my-tcp-lb', '--global'],
    ['health-checks', 'delete', 'my-tcp-health-check', '--global'],
    ['instance-groups', 'unmanaged', 'delete', 'my-instance-group', ...zone],
  ]
  for (const args of order.slice(1))
    assert.match(await gcloud.fail(...args), /is already being used by/, args.join(' '))
  for (const args of order) assert.match(await gcloud.succeed(...args), /Deleted \[/)
  await gcloud.succeed('addresses', 'delete', 'lb-static-ipv4', '--global')
  await gcloud.succeed('ssl-policies', 'delete', 'my-ssl-policy')
  await gcloud.succeed('firewall-rules', 'delete', 'allow-lb-and-health')
  await gcloud.succeed('instances', 'delete', 'my-backend', ...zone)
}
