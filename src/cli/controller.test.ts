import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatEndpoint } from '../address/endpoint.ts'
import { parseAgent } from './agent.ts'
import { type ControllerCommand, parseBackup, parseController, parseRestore, parseToken } from './controller.ts'
import { parseEdge } from './edge.ts'
import { UsageError } from './flags.ts'

const DATA = ['--data', '/data']
const TLS = ['--tls-cert', 'c.pem', '--tls-key', 'k.pem']

function refused(run: () => unknown, message: RegExp): void {
  assert.throws(run, (error) => error instanceof UsageError && message.test(error.message), `${message}`)
}

function addresses({ addresses: listed }: ControllerCommand): string[] {
  return listed.map((address) => (address.kind === 'unix' ? `unix:${address.path}` : formatEndpoint(address.endpoint)))
}

test('a controller listens on loopback when nothing else is said', () => {
  assert.deepEqual(addresses(parseController(DATA)), ['127.0.0.1:8080'])
  assert.deepEqual(addresses(parseController([...DATA, '--unix', '/run/c.sock'])), ['unix:/run/c.sock'])
  const both = parseController([...DATA, '--listen', 'localhost:0', '--listen', '[::1]:80', '--unix', 'a'])
  assert.deepEqual(addresses(both), ['127.0.0.1:0', '[::1]:80', 'unix:a'])
  const { tls, projects, addressPools, poolAddresses } = parseController(DATA)
  assert.deepEqual([tls, projects, addressPools, poolAddresses], [undefined, ['truepeer'], [], []])
  assert.deepEqual([parseController(DATA).creates, parseController([...DATA, '--create']).creates], [false, true])
})

test('projects and addresses may be given often, and are written in one way', () => {
  const { projects, addressPools, poolAddresses } = parseController([
    ...DATA,
    ...['--project', 'lab', '--project', 'lab', '--project', 'other'],
    ...['--address-pool', '203.0.113.7/24,2001:DB8::/64', '--address-pool', '198.51.100.0/30'],
    ...['--addresses', '192.0.2.1, 2001:DB8:0::1'],
  ])
  assert.deepEqual(projects, ['lab', 'other'])
  assert.deepEqual(addressPools, ['203.0.113.0/24', '2001:db8::/64', '198.51.100.0/30'])
  assert.deepEqual(poolAddresses, ['192.0.2.1', '2001:db8::1'])
})

test('an address that others reach needs TLS', () => {
  for (const listen of ['0.0.0.0:8443', '[::]:8443', '192.0.2.1:8443']) {
    refused(() => parseController([...DATA, '--listen', listen]), /is not loopback; give --tls-cert and --tls-key/)
    assert.deepEqual(addresses(parseController([...DATA, ...TLS, '--listen', listen])), [listen])
  }
  refused(() => parseController([...DATA, '--tls-cert', 'c.pem']), /belong together/)
  assert.deepEqual(parseController([...DATA, ...TLS, '--listen', '127.0.0.1:0']).tls, {
    certFile: 'c.pem',
    keyFile: 'k.pem',
  })
})

test('what is missing or wrong is named', () => {
  refused(() => parseController([]), /--data is missing/)
  refused(() => parseController([...DATA, '--listen', '8080']), /--listen "8080" is not ADDR:PORT/)
  refused(() => parseController([...DATA, '--addresses', '192.0.2.256']), /--addresses "192.0.2.256" is not an address/)
  refused(() => parseController([...DATA, '--address-pool', 'x']), /--address-pool "x" is not a subnet/)
  refused(() => parseController([...DATA, '--project', 'My_Project']), /--project "My_Project"/)
  refused(() => parseBackup(DATA), /--to is missing/)
  refused(() => parseRestore(DATA), /--from is missing/)
  refused(() => parseToken([]), /^controller token needs an action; give one of create, list, revoke$/)
  refused(() => parseToken(['lst']), /"lst" is not an action of controller token; give one of/)
  refused(() => parseToken(['creat']), /"creat" is not an action of controller token; did you mean "create"\?/)
  refused(() => parseToken(['create', ...DATA, '--user', 'a']), /--role is missing/)
  refused(() => parseToken(['create', ...DATA, '--role', 'admin']), /--user is missing/)
  refused(() => parseToken(['create', ...DATA, '--role', 'root', '--user', 'a']), /not one of viewer, operator/)
  refused(() => parseToken(['create', ...DATA, '--role', 'admin', '--user', 'a b']), /--user "a b" is not a name/)
  refused(() => parseToken(['revoke', ...DATA]), /--id is missing/)
  refused(() => parseToken(['revoke', ...DATA, '--id', 'x', '--user', 'a']), /token revoke takes --data and --id/)
  refused(() => parseToken(['revoke', ...DATA, '--id', 'x', '--create']), /token revoke takes --data and --id/)
  refused(() => parseToken(['list', ...DATA, '--id', 'x']), /token list takes --data only/)
  refused(() => parseToken(['create', ...DATA, '--id', 'x']), /token create takes --data, --create, --user and --role/)
  for (const address of ['0.0.0.0', '::', '224.0.0.1', '255.255.255.255']) {
    refused(() => parseController([...DATA, '--addresses', address]), /not an address that clients can connect to/)
    refused(() => parseController([...DATA, '--address-pool', address]), /(that no client can connect to|not a subnet)/)
  }
})

test('backups, restores and tokens are read', () => {
  assert.deepEqual(parseBackup([...DATA, '--to', 'f']), { directory: '/data', file: 'f' })
  assert.deepEqual(parseRestore([...DATA, '--from', 'f']), { directory: '/data', file: 'f', overwrites: false })
  assert.equal(parseRestore([...DATA, '--from', 'f', '--overwrite']).overwrites, true)
  const identity = ['--user', 'alice@example.com', '--role', 'edge']
  assert.deepEqual(parseToken(['create', ...DATA, ...identity]), {
    directory: '/data',
    action: 'create',
    user: 'alice@example.com',
    role: 'edge',
    creates: false,
  })
  const creating = parseToken(['create', ...DATA, ...identity, '--create'])
  assert.equal(creating.action === 'create' && creating.creates, true)
  assert.deepEqual(parseToken(['list', ...DATA]), { directory: '/data', action: 'list' })
  assert.deepEqual(parseToken(['revoke', ...DATA, '--id', 'x']), { directory: '/data', action: 'revoke', id: 'x' })
})

test('an edge follows a controller on a UNIX socket, on loopback, or by TLS, and none in the clear', () => {
  const named = ['--name', 'edge-1']
  for (const [text, address] of [
    ['unix:/run/c.sock', { kind: 'unix', path: '/run/c.sock' }],
    ['http://127.0.0.1:8080', { kind: 'url', url: 'http://127.0.0.1:8080' }],
    ['http://[::1]:8080/', { kind: 'url', url: 'http://[::1]:8080' }],
    ['https://controller.example:8443', { kind: 'url', url: 'https://controller.example:8443' }],
  ] as const) {
    const { configuration } = parseEdge(['--controller', text, ...named, '--state', '/s', '--token-file', 't'])
    const expected = { kind: 'controller', address, name: 'edge-1', file: '/s/edge-edge-1.json', tokenFile: 't' }
    assert.deepEqual(configuration, { ...expected, caFile: undefined })
  }
  refused(() => parseEdge(['--controller', 'http://192.0.2.1:80', ...named]), /as plain text; write https/)
  for (const text of ['', 'unix:', '127.0.0.1:80', 'ftp://a', 'https://a/b', 'https://a?b', 'https://user@a']) {
    refused(() => parseEdge(['--controller', text, ...named]), /neither a URL nor unix:PATH/)
  }
})

test('an agent follows a controller by the rules that an edge has', () => {
  const trusting = ['--controller', 'unix:c', '--state', '/s', '--controller-ca', 'ca.pem']
  const { controller, listeners } = parseAgent([...trusting, '--instance', 'web-1'])
  const address = { kind: 'unix', path: 'c' }
  const expected = { address, name: 'web-1', file: '/s/agent-web-1.json', tokenFile: undefined, caFile: 'ca.pem' }
  assert.deepEqual(controller, expected)
  assert.deepEqual(listeners[0].trust, { kind: 'controller' })
  refused(() => parseAgent(trusting), /--instance is missing; give the name by which the controller knows this agent/)
  refused(
    () => parseAgent(['--instance', 'web-1', '--allow-all-subnets']),
    /are for an agent with --controller; add it/,
  )
  refused(() => parseAgent(['--state', '/s', '--allow-all-subnets']), /--state, .* are for an agent with --controller/)
  refused(() => parseAgent(['--controller', 'http://192.0.2.1:80', '--instance', 'a']), /as plain text; write https/)
})

test('an edge has one source of its configuration', () => {
  const controller = ['--controller', 'unix:c', '--name', 'e']
  refused(() => parseEdge(['--controller', 'unix:c']), /--name is missing/)
  refused(() => parseEdge(['--name', 'e', '--config', 'f']), /are for an edge with --controller/)
  refused(() => parseEdge(['--state', '/s', '--config', 'f']), /are for an edge with --controller/)
  const { configuration } = parseEdge(controller)
  assert.equal(configuration.kind === 'controller' && configuration.file, '/var/lib/truepeer/edge-e.json')
  refused(() => parseEdge([...controller, '--config', 'f']), /--controller and --config cannot be used together/)
  refused(() => parseEdge([...controller, '--check']), /with --controller, run "truepeer doctor edge"/)
  refused(
    () => parseEdge([...controller, '--backend', '192.0.2.1:1']),
    /--controller and --backend cannot be used together/,
  )
  refused(
    () => parseEdge([...controller, '--idle-timeout', '5s']),
    /--controller and --idle-timeout cannot be used together/,
  )
})
