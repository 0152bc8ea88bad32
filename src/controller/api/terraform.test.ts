import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Mapping } from '../../compute/json-value.ts'
import { makeCertificate, TestApi } from './test-api.ts'
import { TerraformResource, terraformResources } from './test-terraform.ts'
import { TerraformInstance } from './test-terraform-instance.ts'

const GUIDE = fileURLToPath(new URL('../../../../docs/guides/terraform.md', import.meta.url))
const SERVICE = 'projects/p/global/backendServices/base'
/** As the documentation of the provider writes it. */
const POLICY = '//networkservices.googleapis.com/projects/p/locations/global/serviceLbPolicies/pol'
const REGION = 'projects/p/regions/us-central1'
const certificates = [makeCertificate(), makeCertificate()]

/** What others refer to. */
async function withBase(): Promise<TestApi> {
  const api = new TestApi()
  await api.change('POST', 'zones/us-central1-b/networkEndpointGroups', { name: 'neg', defaultPort: 110 })
  await api.change('POST', 'zones/us-central1-b/instanceGroups', { name: 'group' })
  for (const name of ['hc', 'hc2']) {
    await api.change('POST', 'global/healthChecks', { name, type: 'TCP', tcpHealthCheck: {} })
  }
  for (const name of ['base', 'base2']) await api.change('POST', 'global/backendServices', { name })
  await api.change('POST', 'global/backendServices', { name: 'managed', loadBalancingScheme: 'EXTERNAL_MANAGED' })
  for (const name of ['proxy', 'proxy2']) {
    await api.change('POST', 'global/targetTcpProxies', { name, service: 'managed' })
  }
  assert.equal(
    (await api.send('POST', '/ns/v1/projects/p/locations/global/serviceLbPolicies?serviceLbPolicyId=pol', {})).status,
    200,
  )
  const region = 'regions/us-central1'
  await api.change('POST', `${region}/healthChecks`, { name: 'hc', type: 'TCP', tcpHealthCheck: {} })
  await api.change('POST', `${region}/backendServices`, { name: 'base', loadBalancingScheme: 'EXTERNAL_MANAGED' })
  for (const name of ['proxy', 'proxy2']) {
    await api.change('POST', `${region}/targetTcpProxies`, { name, service: `${region}/backendServices/base` })
  }
  for (const [index, made] of certificates.entries()) {
    await api.change('POST', 'global/sslCertificates', { name: `cert${index}`, ...made })
  }
  await api.change('POST', 'global/sslPolicies', { name: 'policy' })
  return api
}

/** For each resource configurations, from one to the next by `apply`. */
const histories: readonly (readonly [type: string, ...configs: readonly Mapping[]])[] = [
  [
    'google_compute_health_check',
    { tcp_health_check: { port: 110 } },
    { tcp_health_check: { port: 111, proxy_header: 'PROXY_V1' }, check_interval_sec: 10, description: 'x' },
    { ssl_health_check: { port: 443, request: 'a', response: 'b' }, timeout_sec: 3, healthy_threshold: 4 },
    { tcp_health_check: { port_specification: 'USE_SERVING_PORT' }, unhealthy_threshold: 9 },
    { tcp_health_check: { port: 80, port_specification: 'USE_FIXED_PORT' }, log_config: { enable: true } },
    { tcp_health_check: { port: 80 }, log_config: { enable: false } },
  ],
  ...['http', 'https', 'http2'].map((kind) => {
    const name = `${kind}_health_check`
    return [
      'google_compute_health_check',
      { [name]: { host: 'app.example.com' } },
      { [name]: { request_path: '/healthz', response: 'ok', port_specification: 'USE_SERVING_PORT' } },
      { [name]: { port: 8080 } },
    ] as const
  }),
  [
    'google_compute_health_check',
    { grpc_health_check: { port: 50_051 } },
    { grpc_health_check: { port: 1, grpc_service_name: 's' } },
  ],
  ['google_compute_health_check', { grpc_tls_health_check: { port_specification: 'USE_SERVING_PORT' } }],
  [
    'google_compute_backend_service',
    {},
    { protocol: 'TCP', timeout_sec: 300, health_checks: ['projects/p/global/healthChecks/hc'] },
    {
      load_balancing_scheme: 'EXTERNAL',
      connection_draining_timeout_sec: 0,
      session_affinity: 'NONE',
      port_name: 'pop3',
    },
    { locality_lb_policy: 'ROUND_ROBIN', ip_address_selection_policy: 'IPV4_ONLY', description: 'x' },
    { log_config: { enable: true }, compression_mode: 'DISABLED' },
    { log_config: { enable: true, sample_rate: 0.25 }, health_checks: ['projects/p/global/healthChecks/hc2'] },
    { log_config: { enable: false } },
    {
      backend: {
        group: 'projects/p/zones/us-central1-b/networkEndpointGroups/neg',
        balancing_mode: 'CONNECTION',
        max_connections_per_endpoint: 10,
        preference: 'DEFAULT',
      },
    },
    {
      backend: [
        { group: 'projects/p/zones/us-central1-b/instanceGroups/group', max_utilization: 0.8, capacity_scaler: 0.5 },
        {
          group: 'projects/p/zones/us-central1-b/networkEndpointGroups/neg',
          balancing_mode: 'CONNECTION',
          max_connections: 7,
          description: 'second',
        },
      ],
    },
    { protocol: 'SSL', tls_settings: { sni: 'app.example.com' } },
  ],
  [
    'google_compute_backend_service',
    { session_affinity: 'CLIENT_IP' },
    { session_affinity: 'CLIENT_IP', locality_lb_policy: 'RING_HASH', consistent_hash: { minimum_ring_size: 2048 } },
    { session_affinity: 'CLIENT_IP_PORT_PROTO', locality_lb_policy: 'MAGLEV', service_lb_policy: POLICY },
    { locality_lb_policy: 'LEAST_REQUEST', service_lb_policy: POLICY, circuit_breakers: { max_connections: 5_000 } },
    { locality_lb_policy: 'RANDOM', circuit_breakers: { max_requests: 7 } },
    {
      outlier_detection: {
        base_ejection_time: { seconds: 20 },
        interval: { seconds: 1, nanos: 500_000_000 },
        consecutive_errors: 4,
        consecutive_gateway_failure: 2,
        enforcing_consecutive_errors: 50,
        enforcing_consecutive_gateway_failure: 100,
        enforcing_success_rate: 10,
        max_ejection_percent: 30,
        success_rate_minimum_hosts: 3,
        success_rate_request_volume: 50,
        success_rate_stdev_factor: 1800,
      },
    },
    {
      backend: {
        group: 'projects/p/zones/us-central1-b/instanceGroups/group',
        balancing_mode: 'UTILIZATION',
        max_utilization: 0.8,
        max_connections_per_instance: 100,
        preference: 'PREFERRED',
      },
    },
    {},
  ],
  [
    'google_network_services_service_lb_policies',
    {},
    { load_balancing_algorithm: 'SPRAY_TO_REGION', description: 'x', labels: { a: 'b' } },
    { auto_capacity_drain: { enable: true }, failover_config: { failover_health_threshold: 60 } },
    { isolation_config: { isolation_granularity: 'REGION', isolation_mode: 'STRICT' } },
    { isolation_config: { isolation_granularity: 'REGION' }, load_balancing_algorithm: 'WATERFALL_BY_ZONE' },
  ],
  [
    'google_compute_target_tcp_proxy',
    { backend_service: SERVICE },
    { backend_service: `${SERVICE}2`, proxy_header: 'PROXY_V1' },
  ],
  [
    'google_compute_target_ssl_proxy',
    { backend_service: SERVICE, ssl_certificates: ['projects/p/global/sslCertificates/cert0'] },
    {
      backend_service: SERVICE,
      ssl_certificates: [0, 1].map((index) => `projects/p/global/sslCertificates/cert${index}`),
      ssl_policy: 'projects/p/global/sslPolicies/policy',
      proxy_header: 'PROXY_V1',
    },
  ],
  [
    'google_compute_ssl_policy',
    {},
    { profile: 'MODERN', min_tls_version: 'TLS_1_2' },
    { profile: 'CUSTOM', custom_features: ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'] },
    { post_quantum_key_exchange: 'DEFAULT' },
  ],
  [
    'google_compute_ssl_certificate',
    { certificate: certificates[0].certificate, private_key: certificates[0].privateKey },
  ],
  ['google_compute_global_address', {}],
  ['google_compute_global_address', { ip_version: 'IPV6', labels: { env: 'test' } }],
  ['google_compute_global_address', { ip_version: 'IPV4', address_type: 'EXTERNAL', description: 'x' }],
  ['google_compute_global_address', { address: '203.0.113.77' }],
  ['google_compute_global_address', { address: '2001:db8::77' }],
  [
    'google_compute_global_forwarding_rule',
    { target: 'projects/p/global/targetTcpProxies/proxy', port_range: '110' },
    { target: 'projects/p/global/targetTcpProxies/proxy2', port_range: '110' },
  ],
  ...['IPV4', 'IPV6'].map((version) => {
    const rule = { target: 'projects/p/global/targetTcpProxies/proxy', port_range: '111-111', ip_version: version }
    return ['google_compute_global_forwarding_rule', { ...rule, labels: { a: 'b' } }] as const
  }),
  [
    'google_compute_global_forwarding_rule',
    {
      target: 'projects/p/global/targetTcpProxies/proxy',
      port_range: '112',
      ip_address: '2001:db8::5',
      ip_protocol: 'TCP',
      load_balancing_scheme: 'EXTERNAL',
      network_tier: 'PREMIUM',
      description: 'x',
    },
  ],
  [
    'google_compute_firewall',
    { network: 'default', allow: { protocol: 'tcp', ports: ['110', '8000-8999'] }, source_ranges: ['35.191.0.0/16'] },
    {
      network: 'default',
      allow: [{ protocol: 'icmp' }, { protocol: 'udp' }],
      source_ranges: ['2001:db8::/32'],
      log_config: { metadata: 'INCLUDE_ALL_METADATA' },
    },
  ],
  [
    'google_compute_firewall',
    {
      network: 'default',
      deny: { protocol: 'all' },
      source_tags: ['a'],
      target_tags: ['b'],
      priority: 5,
      disabled: true,
    },
  ],
  ['google_compute_firewall', { network: 'default', direction: 'EGRESS', allow: { protocol: 'tcp' } }],
  ['google_compute_network_endpoint_group', { network: 'default', default_port: 110 }],
  ['google_compute_network_endpoint_group', { network: 'default', network_endpoint_type: 'NON_GCP_PRIVATE_IP_PORT' }],
  ['google_compute_instance_group', { named_port: [{ name: 'pop3', port: 110 }], description: 'x' }],
  ['google_compute_instance_group', { network: 'projects/p/global/networks/default' }],
  [
    'google_compute_region_health_check',
    { tcp_health_check: { port: 110 } },
    { ssl_health_check: { port_specification: 'USE_SERVING_PORT', response: 'ok' }, unhealthy_threshold: 3 },
    { http_health_check: { host: 'app.example.com', port: 8080 }, log_config: { enable: true }, description: 'x' },
  ],
  [
    'google_compute_region_backend_service',
    { load_balancing_scheme: 'EXTERNAL_MANAGED', protocol: 'TCP', health_checks: [`${REGION}/healthChecks/hc`] },
    { load_balancing_scheme: 'EXTERNAL_MANAGED', timeout_sec: 300, port_name: 'pop3', session_affinity: 'NONE' },
    {
      load_balancing_scheme: 'EXTERNAL_MANAGED',
      connection_draining_timeout_sec: 0,
      log_config: { enable: true, sample_rate: 0.5 },
      backend: {
        group: 'projects/p/zones/us-central1-b/instanceGroups/group',
        balancing_mode: 'UTILIZATION',
        max_utilization: 0.8,
        capacity_scaler: 1,
      },
    },
  ],
  ['google_compute_region_target_tcp_proxy', { backend_service: `${REGION}/backendServices/base` }],
  [
    'google_compute_region_target_tcp_proxy',
    { backend_service: `${REGION}/backendServices/base`, proxy_header: 'PROXY_V1', description: 'x' },
  ],
  ['google_compute_region_ssl_policy', {}, { profile: 'RESTRICTED', min_tls_version: 'TLS_1_2' }],
  [
    'google_compute_region_ssl_certificate',
    { certificate: certificates[1].certificate, private_key: certificates[1].privateKey, description: 'x' },
  ],
  ['google_compute_address', {}],
  ['google_compute_address', { network_tier: 'PREMIUM', labels: { env: 'test' }, description: 'x' }],
  ['google_compute_address', { address: '203.0.113.78', address_type: 'EXTERNAL' }],
  [
    'google_compute_forwarding_rule',
    { target: `${REGION}/targetTcpProxies/proxy`, port_range: '110', load_balancing_scheme: 'EXTERNAL_MANAGED' },
    { target: `${REGION}/targetTcpProxies/proxy2`, port_range: '110', load_balancing_scheme: 'EXTERNAL_MANAGED' },
  ],
  [
    'google_compute_forwarding_rule',
    {
      target: `${REGION}/targetTcpProxies/proxy`,
      port_range: '111-111',
      ip_protocol: 'TCP',
      network_tier: 'PREMIUM',
      labels: { a: 'b' },
      description: 'x',
    },
  ],
]

/** An instance from one configuration to the next. */
const instances: readonly Mapping[] = [
  { machine_type: 'e2-medium' },
  { machine_type: 'e2-medium', tags: ['tcp-lb', 'a'], labels: { env: 'test' }, metadata: { cost: 'low' } },
  { machine_type: 'n1-standard-1', tags: ['tcp-lb'], access_config: true, deletion_protection: true },
  { machine_type: 'n1-standard-1', desired_status: 'TERMINATED' },
  { machine_type: 'n1-standard-1', labels: { env: 'live' } },
]

test('google_compute_instance: a plan after each apply is empty', async () => {
  for (const first of [{}, { network_ip: '10.128.0.2', description: 'x' }]) {
    const api = await withBase()
    const instance = new TerraformInstance(api, { name: 'mine', ...first, ...instances[0] })
    await instance.create()
    assert.deepEqual(await instance.plan(), [])
    for (const config of instances.slice(1)) {
      await instance.update({ name: 'mine', ...first, ...config })
      assert.deepEqual(await instance.plan(), [], JSON.stringify(config))
    }
  }
})

for (const [index, [type, ...configs]] of histories.entries()) {
  test(`${type} ${index}: a plan after each apply is empty`, async () => {
    const resource = new TerraformResource(await withBase(), type, { name: 'mine', ...configs[0] })
    await resource.create()
    assert.deepEqual(await resource.plan(), [], JSON.stringify(configs[0]))
    for (const config of configs.slice(1)) {
      await resource.update(config)
      assert.deepEqual(await resource.plan(), [], JSON.stringify(config))
    }
  })
}

test('each resource of the emulation has a history', () => {
  assert.deepEqual(new Set(histories.map(([type]) => type)), new Set(terraformResources))
})

test('the example of our page is planned empty, and serves', async () => {
  const api = new TestApi()
  const resources = readHcl(readFileSync(GUIDE, 'utf8'))
  assert.ok(resources.length >= 6)
  const made = new Map<string, TerraformResource>()
  const resolve = async (value: unknown): Promise<unknown> => {
    if (Array.isArray(value)) return Promise.all(value.map(resolve))
    if (typeof value === 'object' && value !== null) {
      const entries = await Promise.all(Object.entries(value).map(async ([name, item]) => [name, await resolve(item)]))
      return Object.fromEntries(entries)
    }
    const reference = typeof value === 'string' ? /^(google_\w+\.\w+)\.(\w+)$/.exec(value) : null
    if (reference === null) return value
    const [, target, attribute] = reference
    const path = made.get(target)?.path ?? assert.fail(`${value} leads nowhere`)
    if (attribute === 'id' || attribute === 'name')
      return attribute === 'id' ? `projects/p/${path}` : path.split('/').at(-1)
    return (await api.get(path))[attribute]
  }
  for (const { type, name, config } of resources) {
    const resolved = (await resolve(config)) as Mapping
    if (type === 'google_compute_network_endpoint') {
      const { network_endpoint_group: group, ip_address: ipAddress, port } = resolved
      const path = `zones/us-central1-b/networkEndpointGroups/${group}`
      await api.change('POST', `${path}/attachNetworkEndpoints`, { networkEndpoints: [{ ipAddress, port }] })
      const { items } = (await api.send('POST', `${path}/listNetworkEndpoints`, {})).body
      assert.deepEqual(items, [{ networkEndpoint: { ipAddress, port } }])
      continue
    }
    const resource = new TerraformResource(api, type, resolved)
    await resource.create()
    made.set(`${type}.${name}`, resource)
  }
  for (const [name, resource] of made) assert.deepEqual(await resource.plan(), [], name)
  const { snapshot, leftOut } = api.publication()
  assert.deepEqual(leftOut, [])
  assert.deepEqual(
    snapshot.frontends.map(({ port }) => port),
    [110],
  )
})

type HclResource = { readonly type: string; readonly name: string; readonly config: Mapping }

/** The resources in the HCL of a page: arguments, a line each, and blocks of them. */
function readHcl(page: string): readonly HclResource[] {
  const resources: HclResource[] = []
  for (const [, type, name, text] of page.matchAll(/^resource "(\w+)" "(\w+)" \{\n(.*?)^\}$/gms)) {
    const stack: Record<string, unknown>[] = [{}]
    for (const line of text.split('\n')) {
      const block = /^ *(\w+) \{$/.exec(line)
      const argument = /^ *(\w+) += (.*)$/.exec(line)
      const inner = stack.at(-1) as Record<string, unknown>
      if (block !== null) {
        const fields: Record<string, unknown> = {}
        inner[block[1]] = fields
        stack.push(fields)
      }
      if (argument !== null) inner[argument[1]] = hclValue(argument[2])
      else if (line.trim() === '}') stack.pop()
    }
    resources.push({ type, name, config: stack[0] })
  }
  return resources
}

function hclValue(text: string): unknown {
  if (text.startsWith('[')) return text.slice(1, -1).split(', ').map(hclValue)
  return /^["0-9]/.test(text) || text === 'true' || text === 'false' ? JSON.parse(text) : text
}
