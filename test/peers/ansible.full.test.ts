// Ansible’s modules for Google Cloud: they go to Google’s names, compare what they read with what they would send, and
// change what differs.
import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeCertificate } from '../../src/controller/api/test-api.ts'
import { type GoogleMachine, PROJECT, withGoogleNames } from './google-names.ts'

const MODULES = '/usr/lib/python3/dist-packages/ansible_collections/google/cloud'
const skip = existsSync(MODULES) && existsSync('/usr/bin/ansible-playbook') ? false : 'ansible is not installed'

type Fields = Readonly<Record<string, unknown>>
/** `changed` is what is given in place of the first arguments. */
type Task = { readonly module: string; readonly name: string; readonly first: Fields; readonly changed?: Fields }

/** What Ansible says of its tasks. */
type Report = {
  readonly plays: readonly {
    readonly tasks: readonly {
      readonly task: { readonly name: string }
      readonly hosts: { readonly localhost: Fields }
    }[]
  }[]
}

const zone = 'us-central1-b'
/** Ansible compares it as text. */
const network = `https://www.googleapis.com/compute/v1/projects/${PROJECT}/global/networks/default`
const [first, second] = [makeCertificate(), makeCertificate()]
const pem = ({ certificate, privateKey }: ReturnType<typeof makeCertificate>): Fields => {
  return { certificate, private_key: privateKey }
}

/** The load balancer of the guide, and what else there is, in an order in which each can be made. */
const tasks: readonly Task[] = [
  {
    module: 'instance',
    name: 'my-backend',
    first: {
      zone,
      machine_type: 'n1-standard-1',
      tags: { items: ['tcp-lb'] },
      disks: [{ auto_delete: true, boot: true, initialize_params: { source_image: 'centos-7', disk_size_gb: 10 } }],
      network_interfaces: [{ network_ip: '10.128.0.2', access_configs: [{ name: 'nat', type: 'ONE_TO_ONE_NAT' }] }],
      metadata: { cost: 'low' },
      labels: { env: 'test' },
      deletion_protection: true,
    },
    changed: { labels: { env: 'live' }, deletion_protection: false },
  },
  {
    module: 'instance_group',
    name: 'my-instance-group',
    first: { zone, named_ports: [{ name: 'tcp110', port: 110 }], instances: ['{{ my_backend }}'] },
  },
  {
    module: 'network_endpoint_group',
    name: 'my-endpoints',
    first: { zone, network: { selfLink: network }, default_port: 110 },
    changed: { default_port: 111 },
  },
  {
    module: 'health_check',
    name: 'my-tcp-health-check',
    first: { type: 'TCP', tcp_health_check: { port: 110 } },
    changed: { check_interval_sec: 10, tcp_health_check: { port: 111, proxy_header: 'PROXY_V1' } },
  },
  ...(['http', 'https', 'http2'] as const).map((kind) => ({
    module: 'health_check',
    name: `check-${kind}`,
    first: { type: kind.toUpperCase(), [`${kind}_health_check`]: { port: 80 } },
    changed: { [`${kind}_health_check`]: { port: 81, request_path: '/healthz', host: 'app.example.com' } },
  })),
  {
    module: 'health_check',
    name: 'check-grpc',
    first: { type: 'GRPC', grpc_health_check: { port: 80 } },
    changed: { healthy_threshold: 3, grpc_health_check: { port: 80, grpc_service_name: 's' } },
  },
  {
    module: 'health_check',
    name: 'check-ssl',
    first: { type: 'SSL', ssl_health_check: { port_specification: 'USE_SERVING_PORT' } },
    changed: { ssl_health_check: { port: 443, port_specification: 'USE_FIXED_PORT' }, log_config: { enable: true } },
  },
  {
    module: 'backend_service',
    name: 'my-tcp-lb',
    first: {
      protocol: 'TCP',
      port_name: 'tcp110',
      timeout_sec: 300,
      load_balancing_scheme: 'EXTERNAL',
      health_checks: ['{{ my_tcp_health_check.selfLink }}'],
      backends: [{ group: '{{ my_instance_group.selfLink }}', max_utilization: '0.8' }],
    },
    changed: { timeout_sec: 600, connection_draining: { draining_timeout_sec: 60 }, port_name: 'pop3' },
  },
  {
    module: 'backend_service',
    name: 'other',
    first: { protocol: 'TCP', enable_cdn: false, log_config: { enable: true, sample_rate: '0.5' } },
    changed: { log_config: { enable: true, sample_rate: '0.25' }, description: 'another one' },
  },
  {
    module: 'target_tcp_proxy',
    name: 'my-tcp-lb-target-proxy',
    first: { proxy_header: 'PROXY_V1', service: '{{ my_tcp_lb }}' },
    changed: { proxy_header: 'NONE', service: '{{ other }}' },
  },
  { module: 'ssl_certificate', name: 'my-ssl-cert', first: pem(first) },
  { module: 'ssl_certificate', name: 'unused-cert', first: pem(first), changed: pem(second) },
  // A change of a policy has to send its fingerprint, to Google as well as here, and this module does not.
  { module: 'ssl_policy', name: 'my-ssl-policy', first: { profile: 'MODERN', min_tls_version: 'TLS_1_0' } },
  { module: 'ssl_policy', name: 'compatible', first: { profile: 'COMPATIBLE' } },
  {
    module: 'target_ssl_proxy',
    name: 'my-ssl-lb-target-proxy',
    first: {
      proxy_header: 'PROXY_V1',
      service: '{{ my_tcp_lb }}',
      ssl_certificates: ['{{ my_ssl_cert }}'],
      ssl_policy: '{{ my_ssl_policy }}',
    },
    changed: { service: '{{ other }}', ssl_policy: '{{ compatible }}', ssl_certificates: ['{{ unused_cert }}'] },
  },
  { module: 'global_address', name: 'lb-static-ipv4', first: { ip_version: 'IPV4' } },
  { module: 'global_address', name: 'lb-static-ipv6', first: { ip_version: 'IPV6' } },
  {
    module: 'global_forwarding_rule',
    name: 'tcp-rule',
    first: {
      ip_address: '{{ lb_static_ipv4.address }}',
      ip_protocol: 'TCP',
      port_range: '110-110',
      target: '{{ my_tcp_lb_target_proxy.selfLink }}',
    },
    changed: { target: '{{ my_ssl_lb_target_proxy.selfLink }}' },
  },
  {
    module: 'global_forwarding_rule',
    name: 'ssl-rule',
    first: {
      ip_address: '{{ lb_static_ipv6.address }}',
      port_range: '995-995',
      target: '{{ my_ssl_lb_target_proxy.selfLink }}',
    },
  },
  {
    module: 'firewall',
    name: 'allow-lb-and-health',
    first: {
      source_ranges: ['130.211.0.0/22', '35.191.0.0/16'],
      target_tags: ['tcp-lb'],
      allowed: [{ ip_protocol: 'tcp', ports: ['110'] }],
    },
    changed: { allowed: [{ ip_protocol: 'tcp', ports: ['110', '995'] }], priority: 900, log_config: { enable: true } },
  },
  {
    module: 'address',
    name: 'regional-address',
    first: { region: 'us-central1', address_type: 'EXTERNAL' },
  },
  {
    module: 'region_health_check',
    name: 'regional-check',
    first: { region: 'us-central1', type: 'TCP', tcp_health_check: { port: 110 } },
    changed: { timeout_sec: 3, unhealthy_threshold: 5 },
  },
]

const variable = ({ name }: Task): string => name.replaceAll('-', '_')

/** Runs the tasks and returns which of them changed something. */
async function play(machine: GoogleMachine, version: 'first' | 'changed' | 'absent'): Promise<readonly string[]> {
  const login = { project: PROJECT, auth_kind: 'machineaccount' }
  const ordered = version === 'absent' ? tasks.toReversed() : tasks
  const steps = ordered.map((task) => {
    const { module, name, first: given, changed } = task
    const wanted = version === 'changed' ? { ...given, ...changed } : given
    const state = version === 'absent' ? 'absent' : 'present'
    const args = { name, ...login, ...wanted, state }
    return { name, [`google.cloud.gcp_compute_${module}`]: args, register: variable(task) }
  })
  // What is to go is named only, and what it names is gone before.
  const vars =
    version === 'absent'
      ? Object.fromEntries(tasks.map((task) => [variable(task), { selfLink: 'x', address: 'x' }]))
      : {}
  const playbook = [{ hosts: 'localhost', gather_facts: false, vars, tasks: steps }]
  const file = join(machine.directory, 'playbook.json')
  writeFileSync(file, JSON.stringify(playbook))
  const interpreter = 'ansible_python_interpreter=/usr/bin/python3'
  const { stdout, stderr } = await machine.run(
    '/usr/bin/ansible-playbook',
    ['--connection', 'local', '--inventory', 'localhost,', '--extra-vars', interpreter, file],
    { ANSIBLE_STDOUT_CALLBACK: 'json', ANSIBLE_HOME: machine.directory, ANSIBLE_LOCAL_TEMP: machine.directory },
  )
  const { plays } = JSON.parse(stdout.slice(stdout.indexOf('{'))) as Report
  const results = plays.flatMap((one) => one.tasks)
  const failed = results.filter(({ hosts }) => hosts.localhost.failed === true)
  assert.deepEqual(
    failed.map(({ task, hosts }) => `${task.name}: ${JSON.stringify(hosts.localhost.msg)}`),
    [],
    stderr,
  )
  assert.equal(results.length, tasks.length)
  return results.filter(({ hosts }) => hosts.localhost.changed === true).map(({ task }) => task.name)
}

test('Ansible builds everything, changes everything and removes everything, and has nothing to do a second time', {
  skip,
}, async (t) => {
  await withGoogleNames(t, async (machine) => {
    const names = tasks.map(({ name }) => name)
    assert.deepEqual(await play(machine, 'first'), names)
    assert.deepEqual(await play(machine, 'first'), [])
    assert.deepEqual(
      await play(machine, 'changed'),
      tasks.flatMap(({ name, changed }) => (changed === undefined ? [] : [name])),
    )
    assert.deepEqual(await play(machine, 'changed'), [])
    assert.deepEqual(await play(machine, 'absent'), names.toReversed())
    assert.deepEqual(await play(machine, 'absent'), [])
  })
})
