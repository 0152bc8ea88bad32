import assert from 'node:assert/strict'
import { readResources } from '../compute/read-resources.ts'
import { type CheckedResource, definitions, isCollectionName } from '../compute/resources.ts'

/** A resource as it is in a file. */
export type Fields = Readonly<Record<string, unknown>>

/** The guide's TCP load balancer, by collection and name, in the shortest form that a file may have. */
export const GUIDE: Readonly<Record<string, Fields>> = {
  'addresses/lb-static-ipv4': { address: '203.0.113.10', ipVersion: 'IPV4' },
  'forwardingRules/my-tcp-lb-ipv4-forwarding-rule': {
    IPAddress: 'lb-static-ipv4',
    portRange: '110-110',
    target: 'my-tcp-lb-target-proxy',
  },
  'targetTcpProxies/my-tcp-lb-target-proxy': { service: 'my-tcp-lb', proxyHeader: 'PROXY_V1' },
  'backendServices/my-tcp-lb': {
    protocol: 'TCP',
    portName: 'tcp110',
    timeoutSec: 300,
    healthChecks: ['my-tcp-health-check'],
    backends: [{ group: 'my-instance-group', balancingMode: 'UTILIZATION', maxUtilization: 0.8 }],
  },
  'healthChecks/my-tcp-health-check': { type: 'TCP', tcpHealthCheck: { port: 110 } },
  'instanceGroups/my-instance-group': {
    zone: 'us-central1-b',
    namedPorts: [{ name: 'tcp110', port: 110 }],
    instances: ['my-backend'],
  },
  'instances/my-backend': { zone: 'us-central1-b', networkInterfaces: [{ networkIP: '10.128.0.2' }] },
}

/** The guide with fields changed (undefined: the field, or the resource, is left out) and resources added. */
export function guideWith(
  changes: Readonly<Record<string, Fields | undefined>> = {},
  ...more: readonly Fields[]
): Fields[] {
  const names = new Set([...Object.keys(GUIDE), ...Object.keys(changes)])
  const resources: Fields[] = []
  for (const name of names) {
    if (name in changes && changes[name] === undefined) continue
    resources.push(resourceOf(name, { ...GUIDE[name], ...changes[name] }))
  }
  return [...resources, ...more]
}

/** A resource in the form of a file from its collection, its name and its fields. */
export function resourceOf(collectionAndName: string, fields: Fields): Fields {
  const [collection, name] = collectionAndName.split('/')
  assert.ok(isCollectionName(collection), collection)
  return { kind: definitions[collection].kind, name, ...fields }
}

/** Reads resources as from a file; each has to be sound by itself. */
export function readChecked(resources: readonly Fields[], source = 'lb.yaml'): readonly CheckedResource[] {
  const read = readResources(JSON.stringify(resources), source)
  assert.deepEqual(read.problems, [])
  return read.resources
}
