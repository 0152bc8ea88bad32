import assert from 'node:assert/strict'
import { isMapping, type Mapping } from '../../compute/json-value.ts'
import type { TestApi } from './test-api.ts'

// An emulation of HashiCorp's provider "google": what it sends for a resource, what it keeps of an answer, and what it
// then plans. The tables say of each argument what its schema says (google/services/compute, August 2026): `default`,
// `computed` (whatever the server says will do where nothing is given), `forceNew` (a change replaces the resource).

/** One argument of a resource. */
type Argument = {
  /** Its path in the API, where that is not the name in another case. */
  readonly api?: string
  readonly default?: unknown
  readonly computed?: true
  readonly forceNew?: true
  /** The arguments of a block. */
  readonly block?: Arguments
  /** What is as good as being absent. */
  readonly suppressed?: unknown
}

type Arguments = Readonly<Record<string, Argument>>

/** A resource of the provider. */
type Table = {
  /** Below the project. */
  readonly collection: (config: Mapping) => string
  readonly arguments: Arguments
  /** How changes are sent; undefined: every change has a method of its own, or replaces the resource. */
  readonly update?: 'PUT' | 'PATCH'
  /** Changes that have a method of their own, by argument. */
  readonly actions?: Readonly<Record<string, string>>
  /** What is sent besides the arguments. */
  readonly encode?: (body: Mapping, config: Mapping) => Mapping
  readonly sendsFingerprint?: true
  /** Of the Network Services API: with a name in the query, a mask of what is updated, and labels like other fields. */
  readonly isNetworkService?: true
}

const FORCE = { forceNew: true } as const
const COMPUTED = { computed: true } as const
const global = (collection: string) => () => `global/${collection}`
const zonal = (collection: string) => () => `zones/us-central1-b/${collection}`
const regional = (collection: string) => () => `regions/us-central1/${collection}`

function probe(extra: Arguments, portDefault: number | undefined): Argument {
  const port = portDefault === undefined ? {} : { suppressed: portDefault }
  return { block: { port, port_name: {}, port_specification: {}, ...extra } }
}

const textProbe = (portDefault: number) =>
  probe({ proxy_header: { default: 'NONE' }, request: {}, response: {} }, portDefault)
const httpProbe = (portDefault: number) =>
  probe({ host: {}, proxy_header: { default: 'NONE' }, request_path: { default: '/' }, response: {} }, portDefault)

const duration: Argument = { block: { seconds: {}, nanos: {} } }

const TYPES: Readonly<Record<string, string>> = { grpc_tls: 'GRPC_WITH_TLS' }

const globalTables = {
  google_compute_health_check: {
    collection: global('healthChecks'),
    update: 'PUT',
    arguments: {
      description: {},
      check_interval_sec: { default: 5 },
      timeout_sec: { default: 5 },
      healthy_threshold: { default: 2 },
      unhealthy_threshold: { default: 2 },
      source_regions: {},
      tcp_health_check: textProbe(80),
      ssl_health_check: textProbe(443),
      http_health_check: httpProbe(80),
      https_health_check: httpProbe(443),
      http2_health_check: httpProbe(443),
      grpc_health_check: probe({ grpc_service_name: {} }, undefined),
      grpc_tls_health_check: probe({ grpc_service_name: {} }, undefined),
      log_config: { computed: true, block: { enable: { default: false } } },
    },
    encode: (body, config) => {
      const name = Object.keys(config).find((key) => key.endsWith('_health_check')) ?? ''
      const kind = name.replace('_health_check', '')
      return { ...body, type: TYPES[kind] ?? kind.toUpperCase() }
    },
  },
  google_compute_backend_service: {
    collection: global('backendServices'),
    update: 'PUT',
    sendsFingerprint: true,
    arguments: {
      description: {},
      affinity_cookie_ttl_sec: {},
      backend: {
        api: 'backends',
        block: {
          group: {},
          balancing_mode: { default: 'UTILIZATION' },
          capacity_scaler: { default: 1 },
          description: {},
          max_connections: COMPUTED,
          max_connections_per_instance: COMPUTED,
          max_connections_per_endpoint: COMPUTED,
          max_utilization: COMPUTED,
          preference: {},
        },
      },
      compression_mode: {},
      connection_draining_timeout_sec: { api: 'connectionDraining.drainingTimeoutSec', default: 300 },
      enable_cdn: { api: 'enableCDN' },
      health_checks: {},
      ip_address_selection_policy: {},
      load_balancing_scheme: { default: 'EXTERNAL_MANAGED' },
      locality_lb_policy: {},
      log_config: {
        computed: true,
        block: { enable: {}, sample_rate: { default: 1 }, optional_mode: COMPUTED, optional_fields: {} },
      },
      port_name: COMPUTED,
      protocol: COMPUTED,
      session_affinity: COMPUTED,
      timeout_sec: COMPUTED,
      service_lb_policy: {},
      circuit_breakers: {
        block: {
          max_connections: { default: 1024 },
          max_pending_requests: { default: 1024 },
          max_requests: { default: 1024 },
          max_requests_per_connection: {},
          max_retries: { default: 3 },
        },
      },
      consistent_hash: { block: { http_header_name: {}, minimum_ring_size: { default: 1024 } } },
      outlier_detection: {
        block: {
          base_ejection_time: duration,
          interval: duration,
          consecutive_errors: {},
          consecutive_gateway_failure: {},
          enforcing_consecutive_errors: {},
          enforcing_consecutive_gateway_failure: {},
          enforcing_success_rate: {},
          max_ejection_percent: {},
          success_rate_minimum_hosts: {},
          success_rate_request_volume: {},
          success_rate_stdev_factor: {},
        },
      },
      security_policy: {},
      tls_settings: {
        block: {
          sni: {},
          authentication_config: {},
          subject_alt_names: { block: { dns_name: {}, uniform_resource_identifier: {} } },
        },
      },
    },
  },
  google_compute_target_tcp_proxy: {
    collection: global('targetTcpProxies'),
    arguments: {
      description: FORCE,
      backend_service: { api: 'service' },
      proxy_bind: { computed: true, forceNew: true },
      proxy_header: { default: 'NONE' },
    },
    actions: { backend_service: 'setBackendService', proxy_header: 'setProxyHeader' },
  },
  google_compute_target_ssl_proxy: {
    collection: global('targetSslProxies'),
    arguments: {
      description: FORCE,
      backend_service: { api: 'service' },
      certificate_map: {},
      proxy_header: { default: 'NONE' },
      ssl_certificates: {},
      ssl_policy: {},
    },
    actions: {
      backend_service: 'setBackendService',
      proxy_header: 'setProxyHeader',
      ssl_certificates: 'setSslCertificates',
      ssl_policy: 'setSslPolicy',
    },
  },
  google_compute_ssl_policy: {
    collection: global('sslPolicies'),
    update: 'PATCH',
    sendsFingerprint: true,
    arguments: {
      description: FORCE,
      custom_features: {},
      min_tls_version: { default: 'TLS_1_0' },
      post_quantum_key_exchange: {},
      profile: { default: 'COMPATIBLE' },
    },
    encode: (body) => ({ ...body, customFeatures: body.customFeatures ?? null }),
  },
  google_compute_ssl_certificate: {
    collection: global('sslCertificates'),
    arguments: { description: FORCE, certificate: FORCE },
  },
  google_compute_global_address: {
    collection: global('addresses'),
    arguments: {
      description: FORCE,
      address: { computed: true, forceNew: true },
      address_type: { default: 'EXTERNAL', forceNew: true },
      ip_version: { suppressed: 'IPV4', forceNew: true },
      network: FORCE,
      prefix_length: { computed: true, forceNew: true },
      purpose: FORCE,
      labels: {},
    },
  },
  google_compute_global_forwarding_rule: {
    collection: global('forwardingRules'),
    update: 'PATCH',
    arguments: {
      description: FORCE,
      target: {},
      ip_address: { api: 'IPAddress', computed: true, forceNew: true },
      ip_protocol: { api: 'IPProtocol', computed: true, forceNew: true },
      ip_version: FORCE,
      labels: {},
      load_balancing_scheme: { default: 'EXTERNAL_MANAGED', forceNew: true },
      network: { computed: true, forceNew: true },
      network_tier: { computed: true, forceNew: true },
      no_automate_dns_zone: FORCE,
      port_range: FORCE,
      source_ip_ranges: FORCE,
      subnetwork: { computed: true, forceNew: true },
    },
    actions: { target: 'setTarget' },
  },
  google_compute_firewall: {
    collection: global('firewalls'),
    update: 'PATCH',
    arguments: {
      description: {},
      network: {},
      allow: { api: 'allowed', block: { protocol: { api: 'IPProtocol' }, ports: {} } },
      deny: { api: 'denied', block: { protocol: { api: 'IPProtocol' }, ports: {} } },
      destination_ranges: COMPUTED,
      direction: { computed: true, forceNew: true },
      disabled: {},
      log_config: { block: { metadata: {} } },
      priority: { default: 1000 },
      source_ranges: {},
      source_tags: {},
      target_tags: {},
    },
    encode: (body) => {
      const { logConfig } = body
      return { ...body, logConfig: isMapping(logConfig) ? { ...logConfig, enable: true } : { enable: false } }
    },
  },
  google_compute_network_endpoint_group: {
    collection: zonal('networkEndpointGroups'),
    arguments: {
      description: FORCE,
      network: FORCE,
      default_port: FORCE,
      network_endpoint_type: { default: 'GCE_VM_IP_PORT', forceNew: true },
      subnetwork: FORCE,
    },
  },
  google_compute_instance_group: {
    collection: zonal('instanceGroups'),
    arguments: {
      description: FORCE,
      named_port: { api: 'namedPorts', block: { name: {}, port: {} } },
      network: { computed: true, forceNew: true },
    },
  },
  google_network_services_service_lb_policies: {
    collection: () => '/ns/v1/projects/p/locations/global/serviceLbPolicies',
    update: 'PATCH',
    isNetworkService: true,
    arguments: {
      description: {},
      labels: {},
      load_balancing_algorithm: {},
      auto_capacity_drain: { block: { enable: {} } },
      failover_config: { block: { failover_health_threshold: {} } },
      isolation_config: { block: { isolation_granularity: {}, isolation_mode: { default: 'NEAREST' } } },
    },
  },
} satisfies Readonly<Record<string, Table>>

const healthCheck = globalTables.google_compute_health_check
const backendService = globalTables.google_compute_backend_service
const address = globalTables.google_compute_global_address
const rule = globalTables.google_compute_global_forwarding_rule

/** Those of a region differ from the global ones in a few arguments. */
const tables: Readonly<Record<string, Table>> = {
  ...globalTables,
  google_compute_region_health_check: { ...healthCheck, collection: regional('healthChecks') },
  google_compute_region_backend_service: {
    ...backendService,
    collection: regional('backendServices'),
    arguments: {
      ...backendService.arguments,
      load_balancing_scheme: { default: 'INTERNAL', forceNew: true },
      network: FORCE,
      failover_policy: {},
    },
  },
  google_compute_region_target_tcp_proxy: {
    collection: regional('targetTcpProxies'),
    arguments: {
      description: FORCE,
      backend_service: { api: 'service', forceNew: true },
      proxy_bind: { computed: true, forceNew: true },
      proxy_header: { default: 'NONE', forceNew: true },
    },
  },
  google_compute_region_ssl_policy: { ...globalTables.google_compute_ssl_policy, collection: regional('sslPolicies') },
  google_compute_region_ssl_certificate: {
    ...globalTables.google_compute_ssl_certificate,
    collection: regional('sslCertificates'),
  },
  google_compute_address: {
    collection: regional('addresses'),
    arguments: {
      ...address.arguments,
      ip_version: FORCE,
      ipv6_endpoint_type: FORCE,
      network_tier: { computed: true, forceNew: true },
      purpose: { computed: true, forceNew: true },
      subnetwork: { computed: true, forceNew: true },
    },
  },
  google_compute_forwarding_rule: {
    ...rule,
    collection: regional('forwardingRules'),
    arguments: {
      ...rule.arguments,
      all_ports: FORCE,
      allow_global_access: {},
      backend_service: {},
      ip_version: { computed: true, forceNew: true },
      is_mirroring_collector: FORCE,
      load_balancing_scheme: { default: 'EXTERNAL', forceNew: true },
      port_range: { computed: true, forceNew: true },
      ports: FORCE,
      service_label: FORCE,
    },
  },
}

/** The names of the resources that are emulated. */
export const terraformResources = Object.keys(tables)

/** What a plan would change: `replace ip_version: "IPV6" -> null`. */
export type Plan = readonly string[]

/** One resource of a configuration, created and read. */
export class TerraformResource {
  readonly #api: TestApi
  readonly #table: Table
  readonly path: string
  readonly #name: string
  #config: Mapping
  #state: Mapping = {}

  constructor(api: TestApi, type: string, { name, ...config }: Mapping) {
    const table = tables[type]
    assert.ok(table, `there is no table for ${type}`)
    const unknown = Object.keys(config).filter((argument) => !Object.hasOwn(table.arguments, argument))
    assert.deepEqual(unknown, type.endsWith('_ssl_certificate') ? ['private_key'] : [], `arguments of ${type}`)
    this.#api = api
    this.#table = table
    this.#name = String(name)
    this.#config = config
    this.path = `${table.collection(config)}/${this.#name}`
  }

  /** `terraform apply` of a new resource. */
  async create(): Promise<void> {
    if (this.#table.isNetworkService) {
      const path = this.path.replace(/\/[^/]+$/, `?serviceLbPolicyId=${this.#name}`)
      return this.#changeService('POST', path, this.#body(this.#config))
    }
    const { labels, private_key: privateKey, ...config } = this.#config
    const body = { name: this.#name, ...(privateKey === undefined ? {} : { privateKey }), ...this.#body(config) }
    await this.#api.change('POST', this.path.replace(/\/[^/]+$/, ''), body)
    if (labels !== undefined) {
      const { labelFingerprint } = await this.#api.get(this.path)
      await this.#api.change('POST', `${this.path}/setLabels`, { labels, labelFingerprint })
    }
  }

  /** `terraform apply` of a resource that is there, with other arguments. */
  async update(config: Mapping): Promise<void> {
    const before = this.#config
    this.#config = config
    const changed = Object.keys(this.#table.arguments).filter((argument) => {
      return JSON.stringify(before[argument]) !== JSON.stringify(config[argument])
    })
    const { actions = {}, update, sendsFingerprint } = this.#table
    for (const argument of changed.filter((one) => Object.hasOwn(actions, one))) {
      const body = expand(this.#table.arguments, { [argument]: config[argument] }, [argument])
      await this.#api.change('POST', `${this.path}/${actions[argument]}`, body)
    }
    if (update === undefined || changed.every((one) => Object.hasOwn(actions, one))) return
    if (this.#table.isNetworkService) {
      const mask = changed.map((one) => apiPath(one, this.#table.arguments[one])[0]).join()
      return this.#changeService(update, `${this.path}?updateMask=${mask}`, this.#body(config))
    }
    const { fingerprint } = this.#state
    const body = { name: this.#name, ...this.#body(config), ...(sendsFingerprint === true ? { fingerprint } : {}) }
    await this.#api.change(update, this.path, body)
  }

  /** `terraform plan`: reads the resource and says what is not as it is written. */
  async plan(): Promise<Plan> {
    this.#state = await this.#api.get(this.path)
    return differences(this.#table.arguments, this.#config, this.#state)
  }

  async #changeService(method: string, path: string, body: Mapping): Promise<void> {
    const { status, body: operation } = await this.#api.send(method, path, body)
    assert.deepEqual([status, operation.done], [200, true], JSON.stringify(operation))
    assert.ok('response' in operation, JSON.stringify(operation))
  }

  #body(config: Mapping): Mapping {
    const body = expand(this.#table.arguments, config)
    return this.#table.encode?.(body, config) ?? body
  }
}

/** The JSON of some arguments; what is empty is not sent. */
function expand(args: Arguments, config: Mapping, names = Object.keys(args)): Mapping {
  const body: Record<string, unknown> = {}
  for (const name of names) {
    const argument = args[name]
    const value = config[name] ?? argument.default
    if (isEmpty(value)) continue
    const { block } = argument
    const nested = block === undefined ? value : expandBlocks(name, block, value)
    const [first, second] = apiPath(name, argument)
    body[first] = second === undefined ? nested : { [second]: nested }
  }
  return body
}

/** Blocks that may come more than once are lists in the API, the others objects. */
function expandBlocks(name: string, block: Arguments, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((one) => expand(block, one as Mapping))
  const one = expand(block, value as Mapping)
  return REPEATED.includes(name) ? [one] : one
}

const REPEATED = ['backend', 'allow', 'deny', 'named_port', 'subject_alt_names']

function differences(args: Arguments, config: Mapping, state: Mapping, at = ''): Plan {
  return Object.entries(args).flatMap(([name, argument]) => {
    const wanted = config[name] ?? argument.default
    const found = valueAt(state, apiPath(name, argument))
    if (config[name] === undefined && argument.computed === true) return []
    const { block } = argument
    if (block !== undefined) return blockDifferences(`${at}${name}`, block, wanted, found)
    if (isSame(wanted, found, argument)) return []
    const change = argument.forceNew === true ? 'replace' : 'change'
    return [`${change} ${at}${name}: ${JSON.stringify(found)} -> ${JSON.stringify(wanted)}`]
  })
}

function blockDifferences(at: string, block: Arguments, wanted: unknown, found: unknown): Plan {
  // The firewall's log is a block only where it is turned on.
  const isOff = isMapping(found) && found.enable === false && Object.hasOwn(block, 'metadata')
  const [wantedList, foundList] = [listOf(wanted), isOff ? [] : listOf(found)]
  if (wantedList.length !== foundList.length)
    return [`change ${at}: ${foundList.length} -> ${wantedList.length} blocks`]
  return wantedList.flatMap((one, index) => differences(block, one, foundList[index], `${at}[${index}].`))
}

function isSame(wanted: unknown, found: unknown, { suppressed }: Argument): boolean {
  if (isEmpty(wanted)) return isEmpty(found) || (suppressed !== undefined && found === suppressed)
  if (Array.isArray(wanted) && Array.isArray(found)) {
    const [ours, theirs] = [wanted.map(plain).sort(), found.map(plain).sort()]
    return JSON.stringify(ours) === JSON.stringify(theirs)
  }
  return JSON.stringify(plain(wanted)) === JSON.stringify(plain(found))
}

/** Links are compared by their names, ports as ranges, numbers as text, and text without the spaces around it. */
function plain(value: unknown): unknown {
  if (typeof value === 'number') return plain(`${value}`)
  if (typeof value !== 'string') return value
  if (/^[0-9]+$/.test(value)) return `${value}-${value}`
  return value.includes('projects/') ? value.slice(value.lastIndexOf('/') + 1) : value.trim()
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === 0 || value === false) return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

function listOf(value: unknown): readonly Mapping[] {
  if (value === undefined || value === null) return []
  return (Array.isArray(value) ? value : [value]) as readonly Mapping[]
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, step) => (isMapping(inner) ? inner[step] : undefined), value)
}

function apiPath(name: string, { api }: Argument): readonly string[] {
  return (api ?? name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())).split('.')
}
