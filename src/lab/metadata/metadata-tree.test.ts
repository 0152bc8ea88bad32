import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Cidr, parseCidr } from '../../address/cidr.ts'
import { type MetadataFormat, nodeAt } from './metadata-node.ts'
import { hostInstance, type MetadataResources } from './metadata-resources.ts'
import { etagOf, textOf } from './metadata-text.ts'
import { metadataTree } from './metadata-tree.ts'
import { testResources } from './test-resources.ts'

const subnets = ['10.132.0.0/20', '10.128.0.0/20'].map((text) => parseCidr(text) as Cidr)
const EMAIL = '123456789012-compute@developer.gserviceaccount.com'

/** What is read at a path below `/computeMetadata/v1`. */
function read(path: string, given: Partial<ReadOptions> = {}): string | undefined {
  const { resources = testResources(), isRecursive = false, alt, guestAttributes = new Map() } = given
  const names = path.split('/').filter((name) => name !== '')
  const node = nodeAt(metadataTree(resources, { subnets, guestAttributes }), ['computeMetadata', 'v1', ...names])
  return node && textOf(node, isRecursive, alt).body
}

type ReadOptions = {
  readonly resources: MetadataResources
  readonly isRecursive: boolean
  readonly alt: MetadataFormat | undefined
  readonly guestAttributes: ReadonlyMap<string, ReadonlyMap<string, string>>
}

for (const [path, value] of [
  ['instance/id', '8849188986350618123'],
  ['instance/name', 'my-backend'],
  ['instance/hostname', 'my-backend.us-central1-b.c.my-project.internal'],
  ['instance/zone', 'projects/123456789012/zones/us-central1-b'],
  ['instance/machine-type', 'projects/123456789012/machineTypes/n1-standard-1'],
  ['instance/image', 'projects/centos-cloud/global/images/family/centos-7'],
  ['instance/tags', '["tcp-lb","a"]'],
  ['instance/disks/0/device-name', 'boot'],
  ['instance/scheduling/automatic-restart', 'TRUE'],
  ['instance/network-interfaces/0/ip', '10.128.0.2'],
  ['instance/network-interfaces/0/mac', '42:01:0a:80:00:02'],
  ['instance/network-interfaces/0/subnetmask', '255.255.240.0'],
  ['instance/network-interfaces/0/gateway', '10.128.0.1'],
  ['instance/network-interfaces/0/network', 'projects/123456789012/networks/default'],
  ['instance/network-interfaces/0/access-configs/0/external-ip', '198.18.0.2'],
  ['instance/network-interfaces/0/ipv6s/0', '2001:db8:128::2'],
  ['instance/service-accounts/default/email', EMAIL],
  [`instance/service-accounts/${EMAIL}/aliases`, 'default\n'],
  ['project/project-id', 'my-project'],
  ['project/numeric-project-id', '123456789012'],
  ['universe/universe-domain', 'googleapis.com'],
] as const) {
  test(`${path} is ${JSON.stringify(value)}`, () => assert.equal(read(path), value))
}

test('a directory is a list of names, those of directories with a slash, in order', () => {
  assert.equal(read(''), 'instance/\nproject/\nuniverse/\n')
  assert.equal(read('instance/service-accounts'), `${EMAIL}/\ndefault/\n`)
  assert.equal(read('instance/service-accounts/default'), 'aliases\nemail\nidentity\nscopes\ntoken\n')
  assert.equal(read('project', { alt: 'json' }), '["attributes/","numeric-project-id","project-id"]')
})

test('lines are a list in JSON, and each a line as text', () => {
  assert.equal(read('instance/tags', { alt: 'text' }), 'tcp-lb\na\n')
  assert.match(read('instance/service-accounts/default/scopes') ?? '', /^https:.*read_only\nhttps:.*logging.write\n$/)
  const scopes = JSON.parse(read('instance/service-accounts/default/scopes', { alt: 'json' }) ?? '')
  assert.equal(scopes.length, 2)
})

test('all of it in JSON has fields in camel case, names of others as they are, and no tokens', () => {
  const resources = testResources({ 'startup-script-url': 'gs://b/o', 'ssh-keys': 'user:ssh-ed25519 AAAA user' })
  const guestAttributes = new Map([['hostkeys', new Map([['ssh-ed25519', 'AAAA']])]])
  const body = read('', { resources, guestAttributes, isRecursive: true }) ?? ''
  assert.match(body, /"id":8849188986350618123,/)
  const { instance, project } = JSON.parse(body)
  assert.deepEqual(instance.attributes, { 'ssh-keys': 'user:ssh-ed25519 AAAA user', 'startup-script-url': 'gs://b/o' })
  assert.deepEqual(instance.guestAttributes, { hostkeys: { 'ssh-ed25519': 'AAAA' } })
  assert.deepEqual(instance.networkInterfaces[0].accessConfigs, [{ externalIp: '198.18.0.2', type: 'ONE_TO_ONE_NAT' }])
  assert.deepEqual(instance.networkInterfaces[0].forwardedIps, [])
  assert.deepEqual(Object.keys(instance.serviceAccounts.default), ['aliases', 'email', 'scopes'])
  assert.equal(instance.machineType, 'projects/123456789012/machineTypes/n1-standard-1')
  assert.deepEqual(project, { attributes: {}, numericProjectId: 123456789012, projectId: 'my-project' })
})

test('all of it as text has each value behind its path', () => {
  const disks = read('instance/disks', { isRecursive: true, alt: 'text' })
  assert.equal(disks, '0/device-name boot\n0/index 0\n0/interface SCSI\n0/mode READ_WRITE\n0/type PERSISTENT\n')
  const account = read('instance/service-accounts/default', { isRecursive: true, alt: 'text' })
  assert.doesNotMatch(account ?? '', /token|identity/)
})

test('there is nothing below a value, behind the last of a list, or at a name of every object', () => {
  for (const path of ['instance/id/x', 'instance/disks/1', 'instance/attributes/x', 'instance/constructor', 'x'])
    assert.equal(read(path), undefined, path)
})

test('a name that somebody gave is a name, whatever it means elsewhere', () => {
  const resources = testResources(JSON.parse('{"__proto__": "a", "constructor": "b"}'))
  const body = read('instance/attributes', { resources, isRecursive: true })
  assert.equal(body, '{"__proto__":"a","constructor":"b"}')
})

test('an etag changes with what is at a path or below, and with nothing else', () => {
  const etags = (resources: MetadataResources) =>
    [[], ['project'], ['instance', 'attributes']].map((path) => {
      const node = nodeAt(metadataTree(resources, { subnets, guestAttributes: new Map() }), [
        'computeMetadata',
        'v1',
        ...path,
      ])
      return node && etagOf(node)
    })
  const [all, project, attributes] = etags(testResources())
  const [allThen, projectThen, attributesThen] = etags(testResources({ key: 'value' }))
  assert.deepEqual(etags(testResources()), [all, project, attributes])
  assert.match(all ?? '', /^[0-9a-f]{16}$/)
  assert.equal(projectThen, project)
  assert.notEqual(allThen, all)
  assert.notEqual(attributesThen, attributes)
})

test('an instance without accounts, disks and interfaces has empty directories', () => {
  const { instance, project } = testResources()
  const resources = { instance: { ...instance, resource: {} }, project }
  assert.equal(read('instance/service-accounts', { resources }), '')
  assert.equal(read('instance/disks', { resources, isRecursive: true }), '[]')
  assert.equal(read('instance/image', { resources }), '')
})

test('a client in the place of an instance has an account that may do everything, a project and a zone', () => {
  const { project } = testResources()
  const resources = { instance: hostInstance('client', 'us-central1-b', project), project }
  assert.equal(read('instance/service-accounts/default/email', { resources }), EMAIL)
  assert.match(read('instance/service-accounts/default/scopes', { resources }) ?? '', /auth\/cloud-platform\n$/)
  assert.equal(read('instance/zone', { resources }), 'projects/123456789012/zones/us-central1-b')
})
