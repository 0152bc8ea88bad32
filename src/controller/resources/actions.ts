import { isMapping, type Mapping } from '../../compute/json-value.ts'
import { parseReference } from '../../compute/reference.ts'
import type { Call, ResourceChange } from '../methods/call.ts'
import { ApiError, invalidField, shown } from '../model/api-error.ts'
import { checkFingerprint, checkNeededFingerprint } from '../model/fingerprint.ts'
import { type LinkField, mapLinks } from '../model/links.ts'
import { pathOf } from '../model/resource-paths.ts'
import type { StoredResource } from '../store/store.ts'
import { addAccessConfig, deleteAccessConfig } from './access-configs.ts'
import { moveAddress } from './move-address.ts'
import { resolveLink } from './resolve-link.ts'
import { replaceResource } from './write-resource.ts'

/** Makes the change of an action; the body was checked against `actionBodies`. */
type Action = (call: Call, stored: StoredResource, body: Mapping) => ResourceChange

/** The actions that change one resource, by `collection.action`. */
export const actions: Readonly<Record<string, Action>> = {
  'addresses.move': moveAddress,
  'addresses.setLabels': setLabels,
  'forwardingRules.setLabels': setLabels,
  'forwardingRules.setTarget': setTarget,
  'targetTcpProxies.setBackendService': setFields,
  'targetTcpProxies.setProxyHeader': setFields,
  'targetSslProxies.setBackendService': setFields,
  'targetSslProxies.setProxyHeader': setFields,
  'targetSslProxies.setSslCertificates': setFields,
  'targetSslProxies.setCertificateMap': setFields,
  'targetSslProxies.setSslPolicy': (call, stored, { sslPolicy }) => {
    const { sslPolicy: _, ...rest } = stored.resource as Mapping
    return replaceResource(call, stored, sslPolicy === undefined ? rest : { ...rest, sslPolicy })
  },
  'backendServices.setSecurityPolicy': setFields,
  'instanceGroups.addInstances': addInstances,
  'instanceGroups.removeInstances': removeInstances,
  'instanceGroups.setNamedPorts': (call, stored, { fingerprint, namedPorts }) => {
    checkFingerprint('fingerprint', fingerprint, String(stored.resource.fingerprint))
    return replaceResource(call, stored, { ...stored.resource, namedPorts })
  },
  'networkEndpointGroups.attachNetworkEndpoints': attachEndpoints,
  'networkEndpointGroups.detachNetworkEndpoints': detachEndpoints,
  'instances.setLabels': setLabels,
  'instances.setTags': (call, stored, { fingerprint, items }) => {
    checkNeededFingerprint('fingerprint', fingerprint, fingerprintIn(stored, 'tags'))
    return replaceResource(call, stored, { ...stored.resource, tags: { items } })
  },
  'instances.setMetadata': (call, stored, { fingerprint, items }) => {
    checkNeededFingerprint('fingerprint', fingerprint, fingerprintIn(stored, 'metadata'))
    return replaceResource(call, stored, { ...stored.resource, metadata: { items } })
  },
  'instances.setMachineType': (call, stored, body) => {
    if (stored.resource.status !== 'TERMINATED') throw notReady(stored, 'stop it')
    return setFields(call, stored, body)
  },
  'instances.addAccessConfig': addAccessConfig,
  'instances.deleteAccessConfig': deleteAccessConfig,
  'instances.start': (call, stored) => (isDown(call, stored) ? startAnew(call, stored) : unchanged(call, stored)),
  'instances.stop': (call, stored) => setStatus(call, stored, 'TERMINATED', { lastStopTimestamp: timeOf(call) }),
  'instances.reset': (call, stored) => {
    if (stored.resource.status !== 'RUNNING') throw notReady(stored, 'start it')
    return startAnew(call, stored)
  },
  'instances.setDeletionProtection': (call, stored) => {
    // gcloud and Python's clients write True.
    const given = (call.request.query.get('deletionProtection') || 'true').toLowerCase()
    if (given !== 'true' && given !== 'false') throw invalidField('deletionProtection', given, 'Give true or false')
    return replaceResource(call, stored, { ...stored.resource, deletionProtection: given === 'true' })
  },
}

function notReady(stored: StoredResource, remedy: string): ApiError {
  const message = `The resource '${pathOf(stored)}' is not ready: it is ${stored.resource.status}; ${remedy}`
  return new ApiError(400, { message, reason: 'resourceNotReady' })
}

function setFields(call: Call, stored: StoredResource, body: Mapping): ResourceChange {
  return replaceResource(call, stored, { ...stored.resource, ...body })
}

/** A rule for UDP has no proxy: gcloud gives its backend service as the target. */
function setTarget(call: Call, stored: StoredResource, { target }: Mapping): ResourceChange {
  const isService = parseReference(String(target))?.collection === 'backendServices'
  const { target: _, backendService: __, ...rest } = stored.resource as Mapping
  return replaceResource(call, stored, { ...rest, [isService ? 'backendService' : 'target']: target })
}

function setLabels(call: Call, stored: StoredResource, body: Mapping): ResourceChange {
  checkNeededFingerprint('labelFingerprint', body.labelFingerprint, String(stored.resource.labelFingerprint))
  return replaceResource(call, stored, { ...stored.resource, labels: body.labels ?? {} })
}

/** A machine is told to start by the time of its start, which is another one then. */
function startAnew(call: Call, stored: StoredResource): ResourceChange {
  return setStatus(call, stored, 'RUNNING', { lastStartTimestamp: timeOf(call) })
}

function unchanged(call: Call, stored: StoredResource): ResourceChange {
  return replaceResource(call, stored, stored.resource)
}

/** Whether an instance is stopped, or its machine has ended by itself. */
function isDown({ world }: Call, stored: StoredResource): boolean {
  const reported = world.machines?.stateOf(pathOf(stored))?.status
  return stored.resource.status !== 'RUNNING' || reported === 'TERMINATED' || reported === 'STOPPING'
}

function setStatus(call: Call, stored: StoredResource, status: string, times: Mapping): ResourceChange {
  return replaceResource(call, stored, { ...stored.resource, status }, times)
}

function timeOf({ now }: Call): string {
  return new Date(now).toISOString()
}

function fingerprintIn({ resource }: StoredResource, field: string): string {
  const value: unknown = resource[field]
  return isMapping(value) ? String(value.fingerprint) : ''
}

function addInstances(call: Call, stored: StoredResource, body: Mapping): ResourceChange {
  const members = stored.resource.instances as readonly string[]
  const added = instancePaths(call, stored, body)
  for (const [index, path] of added.entries()) {
    const field = `resource.instances[${index}].instance`
    if (members.includes(path) || added.indexOf(path) < index) {
      const message = `Invalid value for field '${field}': '${shown(path)}'. It is already a member of '${pathOf(stored)}'`
      throw new ApiError(400, { message, reason: 'memberAlreadyExists' })
    }
    // A group of a zone has only instances of that zone.
    if (!path.includes(`/${stored.scope}/`)) {
      throw invalidField(field, path, `The group is in ${stored.scope}; give an instance of the same zone`)
    }
  }
  return replaceResource(call, stored, { ...stored.resource, instances: [...members, ...added] })
}

function removeInstances(call: Call, stored: StoredResource, body: Mapping): ResourceChange {
  const members = stored.resource.instances as readonly string[]
  const removed = instancePaths(call, stored, body)
  for (const [index, path] of removed.entries()) {
    if (members.includes(path)) continue
    throw invalidField(`resource.instances[${index}].instance`, path, `It is not a member of '${pathOf(stored)}'`)
  }
  const rest = members.filter((path) => !removed.includes(path))
  return replaceResource(call, stored, { ...stored.resource, instances: rest })
}

function instancePaths(call: Call, stored: StoredResource, { instances }: Mapping): readonly string[] {
  return (instances as readonly Mapping[]).map(({ instance }, index) => {
    const field: LinkField = { path: `instances[${index}].instance`, collections: ['instances'] }
    return resolveLink(call, stored, String(instance), field)
  })
}

function attachEndpoints(call: Call, stored: StoredResource, body: Mapping): ResourceChange {
  const present = endpointsOf(stored)
  const given = endpointsIn(call, stored, body)
  const added = given.filter((endpoint) => !present.some((one) => isSameEndpoint(stored, one, endpoint)))
  return replaceResource(call, stored, { ...stored.resource, networkEndpoints: [...present, ...added] })
}

function detachEndpoints(call: Call, stored: StoredResource, body: Mapping): ResourceChange {
  const present = endpointsOf(stored)
  const given = endpointsIn(call, stored, body)
  for (const [index, endpoint] of given.entries()) {
    if (present.some((one) => isSameEndpoint(stored, one, endpoint))) continue
    const field = `resource.networkEndpoints[${index}].ipAddress`
    throw invalidField(field, String(endpoint.ipAddress), `It is not an endpoint of '${pathOf(stored)}'`)
  }
  const rest = present.filter((one) => !given.some((endpoint) => isSameEndpoint(stored, one, endpoint)))
  return replaceResource(call, stored, { ...stored.resource, networkEndpoints: rest })
}

function endpointsOf({ resource }: StoredResource): readonly Mapping[] {
  return resource.networkEndpoints as readonly Mapping[]
}

function endpointsIn(call: Call, stored: StoredResource, body: Mapping): readonly Mapping[] {
  const mapped = mapLinks('networkEndpointGroups', body, (text, field) => resolveLink(call, stored, text, field))
  return mapped.networkEndpoints as readonly Mapping[]
}

function isSameEndpoint({ resource: { defaultPort } }: StoredResource, one: Mapping, other: Mapping): boolean {
  return one.ipAddress === other.ipAddress && (one.port ?? defaultPort) === (other.port ?? defaultPort)
}
