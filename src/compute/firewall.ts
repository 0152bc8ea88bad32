import { NAME_PATTERN } from './reference.ts'
import { defineResource } from './resource.ts'
import { flag, integer, list, object, oneOf, optional, recorded, text, unsupported } from './schema.ts'
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

function ranges(description: string) {
  return list(description, text('A range.', { format: 'cidr', examples: ['35.191.0.0/16'] }), { default: [] })
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
    sourceServiceAccounts: unsupported('Accounts of instances.', [], 'remove it and give sourceTags'),
    targetServiceAccounts: unsupported('Accounts of instances.', [], 'remove it and give targetTags'),
    logConfig: optional(
      object('The log of the rule; not used.', {
        enable: flag('Whether connections are logged.', { default: false }),
        metadata: recorded('Fields of the log.'),
      }),
    ),
    network: recorded('Network of the rule; not used.'),
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
      rule(['direction', 'sourceRanges', 'sourceTags'], ({ direction, ...sources }, report) => {
        for (const name of ['sourceRanges', 'sourceTags'] as const) {
          if (direction === 'EGRESS' && sources[name].length > 0) {
            report(name, 'EGRESS has no sources', 'remove it, or give INGRESS as direction', 'conflict')
          }
        }
      }),
    ],
  },
)
