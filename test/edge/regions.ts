// Three regions, each a host of its own with an agent, an app and a load that the test decides; two edges, each with a
// client. Both edges have the address of the frontend, and reach every region.
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import { Lab } from '../../src/lab/lab.ts'
import { change, type LiveController, PROJECT, startController } from '../rig/controller.ts'
import { testDirectory } from '../rig/directory.ts'
import { groupIn } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { routeForAgent } from '../rig/hosts.ts'
import { LineApp } from '../rig/line-app.ts'
import { type Running, startTruepeer } from '../rig/truepeer.ts'
import { MadeLoad, startLoadedAgent } from './capacity.ts'

/** As near to us-central1 as they are in this order. */
export const REGIONS = ['us-central1', 'europe-west1', 'asia-east1'] as const
export const ADDRESS = '203.0.113.10'
export const ADDRESS6 = '2001:db8:203::10'
export const FRONTEND = `${ADDRESS}:110`
export const FRONTEND6 = `[${ADDRESS6}]:110`
const EDGES = [1, 2] as const
const APP_PORT = 111

/** One region of the lab. */
export type Region = {
  readonly host: Host
  /** What the app calls itself, to clients of each family. */
  readonly app: string
  readonly app6: string
  readonly load: MadeLoad
  readonly address: string
  /** In the status of edges. */
  readonly group: string
}

/** The lab with a controller that has no service yet. */
export type World = {
  readonly clients: readonly Host[]
  readonly edges: readonly Host[]
  readonly regions: readonly Region[]
  readonly controller: LiveController
}

/** Builds hosts, agents and apps, and starts the controller beside all of them. */
export async function buildWorld(t: TestContext): Promise<World> {
  const lab = new Lab()
  t.after(() => lab.close())
  const edges: Host[] = []
  const clients: Host[] = []
  for (const edge of EDGES) {
    const [client, host] = [await lab.addHost(`client-${edge}`), await lab.addHost(`edge-${edge}`)]
    await lab.link(
      {
        host: client,
        addresses: [`209.52.${edge}.4/24`, `2001:db8:209:${edge}::4/64`],
        routes: [`203.0.113.0/24`, '2001:db8:203::/64'],
      },
      {
        host,
        addresses: [`${ADDRESS}/32`, `${ADDRESS6}/128`],
        routes: [`209.52.${edge}.0/24 src ${ADDRESS}`, `2001:db8:209:${edge}::/64`],
      },
    )
    edges.push(host)
    clients.push(client)
  }
  const regions = await Promise.all(REGIONS.map((name, index) => buildRegion(t, lab, edges, name, index + 1)))
  const args = ['--addresses', `${ADDRESS},${ADDRESS6}`]
  const controller = await startController(undefined, join(testDirectory(t), 'data'), args)
  t.after(() => controller.program.kill())
  return { clients, edges, regions, controller }
}

async function buildRegion(
  t: TestContext,
  lab: Lab,
  edges: readonly Host[],
  name: string,
  number: number,
): Promise<Region> {
  const host = await lab.addHost(name)
  const address = `10.128.${number}.2`
  await host.ip(`address add ${address}/32 dev lo`)
  for (const [index, edge] of edges.entries()) {
    const net = `10.${index + 1}.${number}`
    await lab.link(
      { host: edge, addresses: [`${net}.1/24`], routes: [`${address}/32 via ${net}.2`] },
      { host, addresses: [`${net}.2/24`], routes: [`209.52.${index + 1}.0/24 via ${net}.1`] },
    )
  }
  await routeForAgent(host)
  // A port of its own, which is how answers tell the region.
  const [app, app6] = [`127.0.0.1:${APP_PORT + number}`, `[::1]:${APP_PORT + number}`]
  await new LineApp(host, app).open()
  await new LineApp(host, app6).open()
  const load = new MadeLoad(t, 0.1)
  await startLoadedAgent(host, load, { listen: `${address}:110`, target: app, target6: app6 })
  return { host, app, app6, load, address, group: `app/${name}-b/${name}` }
}

/** Starts one of the edges, in the first region, which follows the controller. */
export async function startRegionEdge(t: TestContext, world: World, index: number): Promise<Running> {
  const name = `edge-${index + 1}`
  const follows = ['--controller', world.controller.url, '--name', name, '--state', join(testDirectory(t), name)]
  const args = [...follows, '--zone', `${REGIONS[0]}-b`]
  return startTruepeer(world.edges[index], 'edge', args, { ready: /following the controller/ })
}

/** Inserts a service with a group in each region, and a forwarding rule for each address. */
export async function insertService(
  { controller, regions }: World,
  balancing: (region: number) => object,
  fields: object = {},
): Promise<void> {
  const tcp = { type: 'TCP', tcpHealthCheck: { portSpecification: 'USE_SERVING_PORT' } }
  await change(controller, 'POST', 'global/healthChecks', { name: 'check', checkIntervalSec: 1, timeoutSec: 1, ...tcp })
  for (const [index, name] of REGIONS.entries()) {
    const zone = `zones/${name}-b`
    await change(controller, 'POST', `${zone}/instances`, {
      name,
      machineType: `${zone}/machineTypes/e2-micro`,
      networkInterfaces: [{ networkIP: regions[index].address }],
    })
    await change(controller, 'POST', `${zone}/instanceGroups`, { name, namedPorts: [{ name: 'app', port: 110 }] })
    const instances = [{ instance: `${zone}/instances/${name}` }]
    await change(controller, 'POST', `${zone}/instanceGroups/${name}/addInstances`, { instances })
  }
  await change(controller, 'POST', 'global/backendServices', {
    name: 'app',
    protocol: 'TCP',
    portName: 'app',
    timeoutSec: 300,
    loadBalancingScheme: 'EXTERNAL_MANAGED',
    healthChecks: ['global/healthChecks/check'],
    logConfig: { enable: true, sampleRate: 1 },
    backends: backendsOf(balancing),
    ...fields,
  })
  await change(controller, 'POST', 'global/targetTcpProxies', {
    name: 'proxy',
    service: 'global/backendServices/app',
    proxyHeader: 'PROXY_V1',
  })
  for (const [name, address] of [
    ['rule', ADDRESS],
    ['rule6', ADDRESS6],
  ]) {
    await change(controller, 'POST', 'global/forwardingRules', {
      name,
      IPAddress: address,
      IPProtocol: 'TCP',
      portRange: '110-110',
      target: 'global/targetTcpProxies/proxy',
      loadBalancingScheme: 'EXTERNAL_MANAGED',
    })
  }
}

/** Replaces what the service says of its groups. */
export async function patchBackends({ controller }: World, balancing: (region: number) => object): Promise<void> {
  const { body } = await controller.ask('GET', `${PROJECT}/global/backendServices/app`)
  const { fingerprint } = body as { readonly fingerprint: string }
  await change(controller, 'PATCH', 'global/backendServices/app', { fingerprint, backends: backendsOf(balancing) })
}

function backendsOf(balancing: (region: number) => object): object[] {
  return REGIONS.map((name, index) => ({
    group: `zones/${name}-b/instanceGroups/${name}`,
    ...balancing(index),
  }))
}

/** Waits until an edge sees every region healthy. */
export async function untilHealthy(edge: Running): Promise<void> {
  await eventually('every region is healthy', async () => {
    const status = await edge.status()
    if (status.services.length === 0) return false
    return REGIONS.every((name) =>
      groupIn(status, `app/${name}-b/${name}`).backends.every(({ health }) => health === 'HEALTHY'),
    )
  })
}
