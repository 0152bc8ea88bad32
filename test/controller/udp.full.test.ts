// A load balancer for UDP that is made at a controller, and served by an edge that follows it.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import { change, insertChain, insertRule, startController, startFollowingEdge } from '../rig/controller.ts'
import { openDatagrams, startDatagramApp } from '../rig/datagrams.ts'
import { testDirectory } from '../rig/directory.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { LineApp, whoAnswers } from '../rig/line-app.ts'

const [FRONTEND, APP] = [`${IPV4.edge}:53`, `${IPV4.backend}:5300`]

test('a rule for UDP is served beside one for TCP as soon as its operation is done, and closed in the same way', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  const directory = testDirectory(t)
  startDatagramApp(t, backend, APP)
  await new LineApp(backend, APP).open()
  const controller = await startController(edge, join(directory, 'data'), ['--addresses', IPV4.edge])
  const live = await startFollowingEdge(edge, controller.url, join(directory, 'edge'))
  await insertChain(controller, IPV4.backend, 5300)
  await insertRule(controller, 'tcp', IPV4.edge, 53)
  const { body } = await controller.ask('GET', '/compute/v1/projects/truepeer/global/backendServices')
  const [{ backends, healthChecks, portName }] = (body as { readonly items: readonly Record<string, unknown>[] }).items
  await change(controller, 'POST', 'global/backendServices', {
    name: 'udp',
    protocol: 'UDP',
    backends,
    healthChecks,
    portName,
  })
  await change(controller, 'POST', 'global/forwardingRules', {
    name: 'udp',
    IPAddress: IPV4.edge,
    IPProtocol: 'UDP',
    portRange: '53',
    backendService: 'global/backendServices/udp',
    proxyHeader: 'PROXY_V2',
  })
  const one = openDatagrams(t, client, `${IPV4.client}:0`)
  const answer = `${APP} ${IPV4.client}:${one.socket.address().port}`
  assert.equal(await one.ask('hello', FRONTEND), `${answer} hello`)
  assert.equal(await whoAnswers(client, FRONTEND), APP)

  await change(controller, 'DELETE', 'global/forwardingRules/udp')
  const { frontends } = await live.status()
  assert.deepEqual(
    frontends.map(({ name, protocol }) => [name, protocol]),
    [['tcp', 'TCP']],
  )
  assert.equal(await whoAnswers(client, FRONTEND), APP)
})
