import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BackendStatus, EdgeStatus } from '../telemetry/edge-status.ts'
import { formatStatus, readStatus } from './status.ts'
import { formatSteered } from './steer.ts'

const TRAFFIC = {
  open: 2,
  connections: 12_345,
  bytesFromClient: 1,
  bytesFromBackend: 1,
  connectFailures: 3,
  connectTimeouts: 1,
  retries: 0,
}

function backend(fields: Partial<BackendStatus>): BackendStatus {
  return {
    ...TRAFFIC,
    name: 'vm',
    address: '10.128.0.2',
    port: 110,
    health: 'HEALTHY',
    availability: 'up',
    isDrained: false,
    isEjected: false,
    isAppDown: false,
    probes: undefined,
    utilization: undefined,
    ...fields,
  }
}

const STATUS: EdgeStatus = {
  configuration: {
    version: 7,
    appliedAt: '2026-11-22T10:00:00.000Z',
    reloads: { ok: 6, failed: 1 },
    unopened: [],
    problems: ['lb.yaml: it is wrong; fix it'],
  },
  place: {
    region: 'us-central1',
    zone: 'us-central1-b',
    proximity: 'measured',
    edges: 2,
    regions: [
      { region: 'us-central1', rank: 0, kilometres: 0, connectMs: 0.42 },
      { region: 'europe-west1', rank: 1, kilometres: 7_179, connectMs: undefined },
    ],
  },
  frontends: [
    {
      ...TRAFFIC,
      name: 'my-rule',
      protocol: 'TCP',
      address: '2001:db8::10',
      port: 110,
      proxy: 'my-proxy',
      service: 'my-tcp-lb',
      tls: {
        policy: 'my-policy',
        profile: 'MODERN',
        minVersion: 'TLSv1.2',
        cipherSuites: ['TLS_AES_128_GCM_SHA256'],
        unavailable: ['TLS_RSA_WITH_3DES_EDE_CBC_SHA'],
        certificates: [
          {
            name: 'my-cert',
            names: ['a.example', 'b.example', 'c.example', 'd.example'],
            keyKind: 'ecdsa-p256',
            fingerprint: '00',
            expiresAt: '2026-11-21T12:00:00.000Z',
            expiresInSec: -3_600,
            warnings: ['it has expired'],
          },
        ],
      },
      proxyHeader: 'PROXY_V1',
      noBackend: 4,
      refused: 5,
    },
  ],
  services: [
    {
      name: 'my-tcp-lb',
      healthCheck: 'my-check',
      groups: [
        {
          name: 'us-central1-b/my-group',
          region: 'us-central1',
          zone: 'us-central1-b',
          balancing: { mode: 'UTILIZATION', maxUtilization: 0.8, maxConnections: undefined, capacityScaler: 0.5 },
          members: 4,
          healthy: 1,
          state: 'full-utilization',
          limit: 41.5,
          utilization: 0.412,
          openElsewhere: 7,
          chosen: { nearest: 12_000, full: 345 },
          open: 2,
          backends: [
            backend({ utilization: 0.412 }),
            backend({ name: 'silent', availability: 'down', isAppDown: true }),
            backend({ name: 'other', isDrained: true, availability: 'draining' }),
            backend({
              name: 'third',
              health: 'UNHEALTHY',
              availability: 'down',
              probes: {
                total: 9,
                failures: 2,
                transitions: 1,
                lastLatencyMs: 1,
                lastError: 'answered "\u001b[2J\u202e"',
              },
            }),
          ],
        },
      ],
    },
  ],
  leaving: [
    { key: 'my-tcp-lb/us-central1-b/my-group/gone', address: '10.128.0.9', port: 110, open: 1, endsAt: 'soon' },
  ],
}

test('a bound on connections that no edge can reach is shown as none', () => {
  const [service] = STATUS.services
  const [group] = service.groups
  const targetOf = (maxConnections: number): string | undefined => {
    const balancing = { mode: 'CONNECTION', maxUtilization: undefined, maxConnections, capacityScaler: 1 } as const
    const services = [{ ...service, groups: [{ ...group, balancing }] }]
    return /CONNECTION +(.*?) +41%/m.exec(formatStatus({ ...STATUS, services }))?.[1]
  }
  assert.deepEqual([targetOf(200), targetOf(2 * (2 ** 31 - 1))], ['200 connections', '-'])
})

test('a status is aligned tables, and what a backend said cannot move the cursor', () => {
  const text = formatStatus(STATUS)
  assert.deepEqual(text.split('\n'), [
    'Configuration 7, applied 2026-11-22T10:00:00.000Z; reloads: 6 ok, 1 failed',
    'The last reload was refused:',
    '  lb.yaml: it is wrong; fix it',
    '',
    'The edge is in us-central1-b; regions are ordered by measured times; targets are shared by 2 edges',
    '',
    'NEAREST FIRST  KILOMETRES  CONNECT MS',
    'us-central1             0  0.4',
    'europe-west1         7179  -',
    '',
    'FRONTEND  ADDRESS             PROXY     TLS              HEADER    SERVICE    OPEN  TOTAL  REFUSED',
    'my-rule   [2001:db8::10]:110  my-proxy  MODERN, TLSv1.2  PROXY_V1  my-tcp-lb     2  12345        9',
    '',
    'CERTIFICATE  PROXY     KEY         EXPIRES                   DAYS  NAMES',
    'my-cert      my-proxy  ecdsa-p256  2026-11-21T12:00:00.000Z    -1  a.example, b.example, c.example, and 1 more',
    '',
    'Warnings of TLS:',
    '  my-cert: it has expired',
    '  my-policy: this OpenSSL does not support TLS_RSA_WITH_3DES_EDE_CBC_SHA',
    '',
    'SERVICE    GROUP                   REGION       HEALTHY  MODE         TARGET     LOAD  STATE             LIMIT  ELSEWHERE  OPEN',
    'my-tcp-lb  us-central1-b/my-group  us-central1  1/4      UTILIZATION  80% x 0.5  41%   full-utilization     42          7     2',
    '',
    'BACKEND                                  ADDRESS         HEALTH     AVAILABLE  LOAD  OPEN  TOTAL  FAILED  LAST ERROR',
    'my-tcp-lb/us-central1-b/my-group/vm      10.128.0.2:110  HEALTHY    up         41%      2  12345       3',
    'my-tcp-lb/us-central1-b/my-group/silent  10.128.0.2:110  HEALTHY    down       -        2  12345       3  the app does not listen, as its agent says',
    'my-tcp-lb/us-central1-b/my-group/other   10.128.0.2:110  HEALTHY    drained    -        2  12345       3',
    'my-tcp-lb/us-central1-b/my-group/third   10.128.0.2:110  UNHEALTHY  down       -        2  12345       3  answered "?[2J?"',
    '',
    'LEAVING                                ADDRESS         OPEN  ENDS',
    'my-tcp-lb/us-central1-b/my-group/gone  10.128.0.9:110     1  soon',
    '',
  ])
})

test('an answer that is no status of an edge is an error, not an empty table', () => {
  assert.deepEqual((readStatus(JSON.stringify(STATUS)) as EdgeStatus).frontends, STATUS.frontends)
  for (const body of ['', '[]', 'null', '{"error":"The edge is starting; ask again"}', '<html>']) {
    assert.throws(
      () => readStatus(body),
      /not one of an edge or agent of this version; compare "truepeer --version" of both/,
      body,
    )
  }
})

test('what an edge says of a backend that was drained is one line, and any other answer is refused', () => {
  const steered = { backend: 'app/zone/group/192.0.2.1:110', availability: 'draining', open: 3 }
  assert.equal(
    formatSteered(JSON.stringify(steered)),
    'app/zone/group/192.0.2.1:110 gets no new connections; open connections: 3\n',
  )
  for (const body of ['', 'null', '[]', '<html>', JSON.stringify({ ...steered, open: null })]) {
    assert.throws(() => formatSteered(body), /not one of an edge or agent of this version/, body)
  }
})

test('a status in which any part is another thing is refused, or shown, and never breaks the tables', () => {
  for (const path of pathsOf(STATUS)) {
    for (const other of [null, 7, 'x', [], {}, [null]]) {
      const body = JSON.stringify(replaced(STATUS, path, other))
      try {
        formatStatus(readStatus(body))
      } catch (error) {
        assert.match(
          String(error),
          /not one of an edge or agent of this version/,
          `${path.join('.')}: ${JSON.stringify(other)}`,
        )
      }
    }
  }
})

type Path = readonly string[]

function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  return [path, ...Object.entries(value).flatMap(([name, field]) => pathsOf(field, [...path, name]))]
}

function replaced(value: unknown, [name, ...rest]: Path, other: unknown): unknown {
  if (name === undefined) return other
  const copy = Array.isArray(value) ? [...value] : { ...(value as object) }
  const fields = copy as Record<string, unknown>
  fields[name] = replaced(fields[name], rest, other)
  return copy
}
