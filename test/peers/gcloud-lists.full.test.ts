// gcloud's lists and filters: what it sends for them is not what was typed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noGcloud, withGcloud } from './gcloud.ts'

const LISTS: readonly string[] = [
  ...['accelerator-types', 'addresses', 'backend-buckets', 'backend-services', 'commitments', 'disk-types', 'disks'],
  ...['external-vpn-gateways', 'firewall-rules', 'forwarding-rules', 'health-checks', 'http-health-checks'],
  ...['https-health-checks', 'images --no-standard-images', 'instance-groups', 'instance-groups managed'],
  ...['instance-groups unmanaged', 'instance-templates', 'instances', 'interconnects', 'interconnects attachments'],
  ...['interconnects locations', 'machine-images', 'machine-types', 'network-attachments', 'network-endpoint-groups'],
  ...[
    'networks',
    'networks subnets',
    'operations',
    'packet-mirrorings',
    'regions',
    'reservations',
    'resource-policies',
  ],
  ...['routers', 'routes', 'security-policies', 'service-attachments', 'snapshots', 'sole-tenancy node-groups'],
  ...['sole-tenancy node-templates', 'sole-tenancy node-types', 'ssl-certificates', 'ssl-policies'],
  ...['target-grpc-proxies', 'target-http-proxies', 'target-https-proxies', 'target-instances', 'target-pools'],
  ...[
    'target-ssl-proxies',
    'target-tcp-proxies',
    'target-vpn-gateways',
    'url-maps',
    'vpn-gateways',
    'vpn-tunnels',
    'zones',
  ],
]

test('each list of gcloud succeeds', { skip: noGcloud }, async () => {
  await withGcloud(async (gcloud) => {
    const failed: string[] = []
    for (const list of LISTS) {
      const [command, ...flags] = list.split(' --')
      const { status, stderr } = await gcloud.run(...command.split(' '), 'list', ...flags.map((flag) => `--${flag}`))
      if (status !== 0) failed.push(`${list}: ${stderr}`)
    }
    assert.deepEqual(failed, [])
  })
})

/** What of `fw1`, `fw-2` and `other`, with the priorities 1000, 5 and 1000, each filter takes. */
const FILTERS: readonly (readonly [filter: string, names: string])[] = [
  ['name=fw1', 'fw1'],
  ['name:fw*', 'fw-2 fw1'],
  ['name~^fw.*[0-9]$', 'fw-2 fw1'],
  ['name~"fw\\-2"', 'fw-2'],
  ['name!~fw', 'other'],
  ['name=fw-2', 'fw-2'],
  ['-name=fw1', 'fw-2 other'],
  ['NOT name:fw1', 'fw-2 other'],
  ['name=(fw1,other)', 'fw1 other'],
  ['name=fw1 OR priority=5', 'fw-2 fw1'],
  ['name~fw AND priority=1000 AND disabled=false', 'fw1'],
  ['priority=1000.0', 'fw1 other'],
  ['priority<1000', 'fw-2'],
  ['direction=INGRESS', 'fw-2 fw1 other'],
  ['network=default', 'fw-2 fw1 other'],
  ['network~default$', 'fw-2 fw1 other'],
  ['description="A (B) C"', 'fw1'],
  ['description:"it\'s 5"', 'fw-2'],
  ['creationTimestamp>2026-01-01', 'fw-2 fw1 other'],
  ['creationTimestamp<2026-01-01', ''],
]

test('each filter of gcloud takes what it says', { skip: noGcloud }, async () => {
  await withGcloud(async (gcloud) => {
    const allow = ['--allow', 'tcp:110']
    await gcloud.succeed('firewall-rules', 'create', 'fw1', ...allow, '--description', 'A (B) C')
    await gcloud.succeed('firewall-rules', 'create', 'fw-2', ...allow, '--priority', '5', '--description', "it's 5")
    await gcloud.succeed('firewall-rules', 'create', 'other', ...allow)
    for (const [filter, names] of FILTERS) {
      const { status, stdout, stderr } = await gcloud.run(
        'firewall-rules',
        'list',
        `--filter=${filter}`,
        '--format=value(name)',
      )
      assert.equal(status, 0, `${filter}: ${stderr}`)
      assert.deepEqual(stdout.trim().split('\n').sort().join(' '), names, filter)
    }
    const zones = await gcloud.run('zones', 'list', '--filter=region:us-east1', '--format=value(name)')
    assert.deepEqual(zones.stdout.trim().split('\n'), ['us-east1-b', 'us-east1-c', 'us-east1-d'])
  })
})
