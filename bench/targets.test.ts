import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOptions } from './options.ts'
import { agentAsUser, allTargets, whyMissing } from './targets.ts'

test('a peer that is not installed is named, and truepeer and the floor need nothing', () => {
  const reasons = allTargets('agent').map((target) => [target.name, whyMissing(target, () => false)])
  assert.deepEqual(reasons, [
    ['truepeer', undefined],
    ['haproxy', 'haproxy is not installed'],
    ['haproxy-splice', 'haproxy is not installed'],
    ['nginx', 'nginx is not installed'],
    ['nginx-64k', 'nginx is not installed'],
    ['go-mmproxy', 'go-mmproxy is not installed'],
    ['floor', undefined],
  ])
})

test('only an agent is compared with go-mmproxy', () => {
  assert.equal(
    allTargets('edge').some((target) => target.name === 'go-mmproxy'),
    false,
  )
})

test('with TLS every program is given the same certificate', () => {
  for (const { name, command, files = {} } of allTargets('edge-tls')) {
    const words = [...command, ...Object.values(files)].join(' ')
    assert.match(words, name === 'haproxy' ? /both\.pem/ : /cert\.pem.*key\.pem/, name)
  }
})

test('as another user the agent keeps one capability', () => {
  const { command, isBulkOnly } = agentAsUser('nobody', '65534', '65534')
  assert.deepEqual(
    command.filter((word) => word.includes('net_raw')),
    ['--inh-caps=-all,+net_raw', '--ambient-caps=+net_raw', '--bounding-set=-all,+net_raw'],
  )
  assert.equal(isBulkOnly, true)
})

test('options out of bounds, unknown workloads and unknown flags are refused', () => {
  for (const args of [['--reps', '0'], ['--reps', '100'], ['--seconds', '31'], ['--workloads', 'up2'], ['--fast']]) {
    assert.throws(() => parseOptions(args), args.join(' '))
  }
  assert.deepEqual(parseOptions(['--scenario', 'edge', '--workloads', 'up1', '--outside-network=x']).scenarios, [
    'edge',
  ])
})
