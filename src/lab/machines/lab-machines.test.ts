import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestInstances } from './test-instances.ts'

test('an instance is a machine behind its firewall: what a rule lets in gets in, and others stay out', async (t) => {
  const instances = await TestInstances.make(t)
  const edge = await instances.fabric.addHost('edge', '35.191.0.9')
  const client = await instances.fabric.addHost('client', '209.52.88.4')
  await instances.create('my-backend', { tags: { items: ['tcp-lb'] } })
  assert.equal(await instances.statusOf('my-backend'), 'RUNNING')
  assert.equal(
    await instances.run('my-backend', 'hostname; ip -o -4 address show eth0 | cut -d" " -f7'),
    'my-backend\n10.128.0.2/32',
  )
  assert.deepEqual(instances.fabric.asked, ['attach 10.128.0.2 198.51.100.1'])
  const codes = async () => {
    const to = '10.128.0.2:110'
    const codeOf = (host: typeof edge) => host.connect({ to, timeoutMs: 100 }).then(String, ({ code }) => code)
    return Promise.all([codeOf(edge), codeOf(client)])
  }
  assert.deepEqual(await codes(), ['ETIMEDOUT', 'ETIMEDOUT'])
  await instances.change('POST', 'global/firewalls', {
    name: 'allow-lb-and-health',
    sourceRanges: ['130.211.0.0/22', '35.191.0.0/16'],
    targetTags: ['tcp-lb'],
    allowed: [{ IPProtocol: 'tcp', ports: ['110'] }],
  })
  assert.deepEqual(await codes(), ['ECONNREFUSED', 'ETIMEDOUT'])
  assert.equal(await instances.run('my-backend', 'nft flush ruleset'), '')
  assert.deepEqual(await codes(), ['ECONNREFUSED', 'ETIMEDOUT'], 'nothing inside opens it')
  assert.match(await instances.serialOf('my-backend'), /^my-backend has started\n/)
  await instances.delete('my-backend')
  assert.deepEqual([instances.served, instances.machines.hosts()], [[], []])
})
