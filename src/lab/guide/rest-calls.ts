// What the guide's gcloud commands ask of the API: for machines without gcloud.

/** A call of the API, below `/compute/v1/projects/PROJECT/`. */
export type RestCall = {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly body?: Readonly<Record<string, unknown>>
}

/** Reads a resource or a file, for commands that build on one. */
export type Readers = {
  readonly resource: (path: string) => Promise<Readonly<Record<string, unknown>>>
  readonly file: (path: string) => string
}

type Flags = (name: string) => string
type Command = (name: string, flag: Flags, readers: Readers) => Promise<RestCall[]> | RestCall[]

const SWITCHES = new Set(['global', 'global-health-checks', 'quiet'])

const insert = (path: string, body: Readonly<Record<string, unknown>>): RestCall[] => [{ method: 'POST', path, body }]
const zonal = (flag: Flags, collection: string): string => `zones/${flag('zone')}/${collection}`
const listed = (text: string): string[] => text.split(',').filter((part) => part !== '')
/** `a=b,c=d` */
const items = (text: string) =>
  listed(text).map((pair) => ({ key: pair.slice(0, pair.indexOf('=')), value: pair.slice(pair.indexOf('=') + 1) }))
/** `5m` */
const seconds = (text: string): number =>
  Number.parseInt(text, 10) * ({ m: 60, h: 3600 } as Record<string, number>)[text.at(-1) ?? ''] || Number(text)

const proxy = (flag: Flags) => ({
  service: `global/backendServices/${flag('backend-service')}`,
  proxyHeader: flag('proxy-header'),
})

const COMMANDS: Readonly<Record<string, Command>> = {
  'instances create': (name, flag) =>
    insert(zonal(flag, 'instances'), {
      name,
      machineType: `zones/${flag('zone')}/machineTypes/n1-standard-1`,
      tags: { items: listed(flag('tags')) },
      metadata: { items: items(flag('metadata')) },
      networkInterfaces: [{ network: 'global/networks/default', accessConfigs: [{ type: 'ONE_TO_ONE_NAT' }] }],
    }),
  'instances delete': (name, flag) => [{ method: 'DELETE', path: `${zonal(flag, 'instances')}/${name}` }],
  'instances stop': (name, flag) => [{ method: 'POST', path: `${zonal(flag, 'instances')}/${name}/stop` }],
  'instance-groups create': (name, flag) => insert(zonal(flag, 'instanceGroups'), { name }),
  'instance-groups set-named-ports': (name, flag) =>
    insert(`${zonal(flag, 'instanceGroups')}/${name}/setNamedPorts`, {
      namedPorts: listed(flag('named-ports')).map((pair) => {
        const [portName, port] = pair.split(':')
        return { name: portName, port: Number(port) }
      }),
    }),
  'instance-groups add-instances': (name, flag) =>
    insert(`${zonal(flag, 'instanceGroups')}/${name}/addInstances`, {
      instances: listed(flag('instances')).map((instance) => ({ instance: `${zonal(flag, 'instances')}/${instance}` })),
    }),
  'health-checks create tcp': (name, flag) =>
    insert('global/healthChecks', { name, type: 'TCP', tcpHealthCheck: { port: Number(flag('port')) } }),
  'backend-services create': (name, flag) =>
    insert('global/backendServices', {
      name,
      protocol: flag('protocol'),
      portName: flag('port-name'),
      ...(flag('timeout') === '' ? {} : { timeoutSec: seconds(flag('timeout')) }),
      healthChecks: listed(flag('health-checks')).map((check) => `global/healthChecks/${check}`),
      loadBalancingScheme: 'EXTERNAL',
    }),
  'backend-services add-backend': async (name, flag, { resource }) => {
    const path = `global/backendServices/${name}`
    const { backends = [], fingerprint } = await resource(path)
    const added = {
      group: `zones/${flag('instance-group-zone')}/instanceGroups/${flag('instance-group')}`,
      balancingMode: flag('balancing-mode'),
      maxUtilization: Number(flag('max-utilization')),
    }
    return [{ method: 'PATCH', path, body: { fingerprint, backends: [...(backends as unknown[]), added] } }]
  },
  'backend-services get-health': async (name, _flag, { resource }) => {
    const path = `global/backendServices/${name}`
    const { backends = [] } = await resource(path)
    return (backends as { group: string }[]).flatMap(({ group }) => insert(`${path}/getHealth`, { group }))
  },
  'target-tcp-proxies create': (name, flag) => insert('global/targetTcpProxies', { name, ...proxy(flag) }),
  'target-ssl-proxies create': (name, flag) =>
    insert('global/targetSslProxies', {
      name,
      ...proxy(flag),
      sslCertificates: listed(flag('ssl-certificates')).map((certificate) => `global/sslCertificates/${certificate}`),
      sslPolicy: `global/sslPolicies/${flag('ssl-policy')}`,
    }),
  'ssl-certificates create': (name, flag, { file }) =>
    insert('global/sslCertificates', {
      name,
      certificate: file(flag('certificate')),
      privateKey: file(flag('private-key')),
    }),
  'ssl-policies create': (name, flag) =>
    insert('global/sslPolicies', {
      name,
      profile: flag('profile'),
      minTlsVersion: `TLS_${flag('min-tls-version').replace('.', '_')}`,
    }),
  'addresses create': (name, flag) => insert('global/addresses', { name, ipVersion: flag('ip-version') }),
  'addresses list': () => [{ method: 'GET', path: 'global/addresses' }],
  'forwarding-rules create': (name, flag) => {
    const tcp = flag('target-tcp-proxy')
    return insert('global/forwardingRules', {
      name,
      IPAddress: flag('address'),
      IPProtocol: 'TCP',
      portRange: flag('ports'),
      target: tcp === '' ? `global/targetSslProxies/${flag('target-ssl-proxy')}` : `global/targetTcpProxies/${tcp}`,
    })
  },
  'firewall-rules create': (name, flag) =>
    insert('global/firewalls', {
      name,
      network: 'global/networks/default',
      direction: 'INGRESS',
      sourceRanges: listed(flag('source-ranges')),
      targetTags: listed(flag('target-tags')),
      allowed: listed(flag('allow')).map((rule) => {
        const [protocol, port] = rule.split(':')
        return { IPProtocol: protocol, ports: [port] }
      }),
    }),
}

/**
 * The calls behind a gcloud command of the guide.
 *
 * @param words those behind `gcloud compute`
 * @throws Error when it is not one of the guide's
 */
export async function restCalls(words: readonly string[], readers: Readers): Promise<readonly RestCall[]> {
  const { plain, flags } = split(words)
  const known = Object.entries(COMMANDS).find(([key]) => `${plain.join(' ')} `.startsWith(`${key} `))
  if (known === undefined) throw new Error(`"gcloud compute ${words.join(' ')}" is not a command of the guide`)
  const [key, command] = known
  const name = plain[key.split(' ').length] ?? ''
  return await command(name, (flag) => flags.get(flag) ?? '', readers)
}

/** The fields of an answer, one in a line, as `gcloud … describe` prints them. */
export function answerLines(value: unknown, indent = ''): readonly string[] {
  if (typeof value !== 'object' || value === null) return [`${indent}${value}`]
  return Object.entries(value).flatMap(([key, field]) => {
    const isPlain = typeof field !== 'object' || field === null
    const name = Array.isArray(value) ? '-' : `${key}:`
    return isPlain ? [`${indent}${name} ${field}`] : [`${indent}${name}`, ...answerLines(field, `${indent}  `)]
  })
}

function split(words: readonly string[]): { readonly plain: readonly string[]; readonly flags: Map<string, string> } {
  const plain: string[] = []
  const flags = new Map<string, string>()
  for (let at = 0; at < words.length; at++) {
    const [, name, value] = /^--([a-z-]+)(?:=(.*))?$/s.exec(words[at]) ?? []
    if (name === undefined) {
      // Of a group, gcloud takes some words without this one as well.
      if (words[at] !== 'unmanaged') plain.push(words[at])
    } else if (value !== undefined) flags.set(name, value)
    else if (!SWITCHES.has(name)) flags.set(name, words[++at] ?? '')
  }
  return { plain, flags }
}
