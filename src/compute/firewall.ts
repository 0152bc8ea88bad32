import { NAME_PATTERN } from './reference.ts'
import { defineResource } from './resource.ts'
import { flag, integer, list, object, oneOf, optional, recorded, text } from './schema.ts'
import { serverDefaults } from './server-defaults.ts'

const PROTOCOLS_WITH_PORTS = ['tcp', 'udp', 'sctp', '6', '17', '132']

const traffic = object(
  'A protocol, and ports of it.',
  {
    IPProtocol: text('`tcp`, `udp`, `icmp`, `esp`, `ah`, `sctp`, `ipip`, `all` or a number.', {
      format: 'ip-protocol',
      examples: ['tcp'],
    }),
    ports: list(
      'Ports or ranges of ports; if it is empty, all.',
      text('`110` or `8000-8999`.', { format: 'port-range', examples: ['110'] }),
      {
        default: [],
      },
    ),
  },
  {
    rules: (rule) => [
      rule(['IPProtocol', 'ports'], ({ IPProtocol, ports }, report) => {
        if (ports.length === 0 || PROTOCOLS_WITH_PORTS.includes(IPProtocol)) return
        report('ports', `${IPProtocol} has no ports`, 'remove them, or give tcp, udp or sctp')
      }),
    ],
  },
)

function tags(description: string) {
  return list(description, text('A tag.', { pattern: NAME_PATTERN, maxLength: 63, examples: ['tcp-lb'] }), {
    default: [],
  })
}

function accounts(description: string) {
  return list(
    description,
    text('An account.', { maxLength: 320, examples: ['web@my-project.iam.gserviceaccount.com'] }),
    {
      default: [],
    },
  )
}

function ranges(description: string) {
  return list(description, text('A range.', { format: 'cidr', examples: ['35.191.0.0/16'] }), { default: [] })
}

function isIpv6(range: string): boolean {
  return range.includes(':')
}

/** Firewall rules (`compute#firewall`). */
export const firewalls = defineResource(
  { kind: 'compute#firewall', scopes: ['global'], description: 'Which connections instances accept.' },
  {
    allowed: list('What is allowed.', traffic, { default: [] }),
    denied: list('What is denied.', traffic, { default: [] }),
    direction: oneOf('The direction of the connections.', ['INGRESS', 'EGRESS'], {
      default: serverDefaults.firewalls.direction,
    }),
    priority: integer('The priority of the rule; the lowest number wins.', 0, 65_535, {
      default: serverDefaults.firewalls.priority,
    }),
    disabled: flag('Whether the rule is disabled.', { default: serverDefaults.firewalls.disabled }),
    sourceRanges: ranges('Where connections may come from.'),
    destinationRanges: ranges('Where connections may go to.'),
    sourceTags: tags('Tags of the instances that connections may come from.'),
    targetTags: tags('Tags of the instances to which the rule applies; if it is empty, to all.'),
    sourceServiceAccounts: accounts('Accounts of the instances that connections may come from.'),
    targetServiceAccounts: accounts('Accounts of the instances to which the rule applies.'),
    logConfig: optional(
      object('The log of the rule.', {
        enable: flag('Whether connections are counted.', { default: false }),
        metadata: recorded('Fields of the log.'),
      }),
    ),
    network: recorded('Network of the rule.'),
    params: recorded('Tags of the organisation; not used.'),
  },
  {
    rules: (rule) => [
      rule(['allowed', 'denied'], ({ allowed, denied }, report) => {
        if (allowed.length === 0 && denied.length === 0) {
          report(
            'allowed',
            'the rule neither allows nor denies anything',
            'list a protocol in allowed or in denied',
            'required',
          )
        } else if (allowed.length > 0 && denied.length > 0) {
          report('denied', 'a rule cannot allow and deny', 'split it into two rules', 'conflict')
        }
      }),
      rule(['sourceRanges', 'destinationRanges'], ({ sourceRanges, destinationRanges }, report) => {
        const [first] = [...sourceRanges, ...destinationRanges]
        if (first === undefined) return
        for (const [name, list] of Object.entries({ sourceRanges, destinationRanges })) {
          const other = list.findIndex((range) => isIpv6(range) !== isIpv6(first))
          if (other < 0) continue
          const remedy = 'make a rule for each address family'
          report(`${name}[${other}]`, `it is not of the address family of ${first}`, remedy, 'conflict')
        }
      }),
      rule(
        ['direction', 'sourceRanges', 'sourceTags', 'sourceServiceAccounts'],
        ({ direction, ...sources }, report) => {
          for (const name of ['sourceRanges', 'sourceTags', 'sourceServiceAccounts'] as const) {
            if (direction === 'EGRESS' && sources[name].length > 0) {
              report(name, 'EGRESS has no sources', 'remove it, or give INGRESS as direction', 'conflict')
            }
          }
        },
      ),
      rule(
        ['sourceTags', 'targetTags', 'sourceServiceAccounts', 'targetServiceAccounts'],
        ({ sourceTags, targetTags, ...accounts }, report) => {
          if (sourceTags.length + targetTags.length === 0) return
          for (const name of ['sourceServiceAccounts', 'targetServiceAccounts'] as const) {
            if (accounts[name].length > 0) {
              report(name, 'a rule has either tags or service accounts', 'remove the tags or the accounts', 'conflict')
            }
          }
        },
      ),
    ],
  },
)
