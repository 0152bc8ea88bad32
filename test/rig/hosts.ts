// Hosts in namespaces: two for an agent, three for an edge.
import type { TestContext } from 'node:test'
import { buildDemoHosts, type DemoHosts } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import { Lab } from '../../src/lab/lab.ts'

/** The edge's addresses towards the backend: what an app would see without an agent. */
export const EDGE = '35.191.0.9'
export const EDGE6 = '2001:db8:35::9'
/** The backend host's own addresses. */
export const BACKEND = '10.128.0.2'
export const BACKEND6 = '2001:db8:10::2'
/** Two linked hosts: `edge` sends headers, `backend` has the routing of guide step 21 and runs agent and app. */
export type AgentHosts = { readonly lab: Lab; readonly edge: Host; readonly backend: Host }

/** Builds the two hosts; they are removed when the test ends. */
export async function agentHosts(t: TestContext): Promise<AgentHosts> {
  const lab = new Lab()
  t.after(() => lab.close())
  const edge = await lab.addHost('edge')
  const backend = await lab.addHost('backend')
  await lab.link(
    { host: edge, addresses: [`${EDGE}/16`, `${EDGE6}/64`], routes: ['10.128.0.0/20', '2001:db8:10::/64'] },
    { host: backend, addresses: [`${BACKEND}/20`, `${BACKEND6}/64`], routes: ['35.191.0.0/16', '2001:db8:35::/64'] },
  )
  await routeForAgent(backend)
  return { lab, edge, backend }
}

/** The routing of guide step 21: what an app on loopback answers comes back to the agent. */
export async function routeForAgent(backend: Host): Promise<void> {
  await backend.ip('rule add from 127.0.0.0/8 iif lo lookup 100')
  await backend.ip('route add local 0.0.0.0/0 dev lo table 100')
  await backend.ip('-6 rule add from ::1/128 iif lo lookup 100')
  await backend.ip('-6 route add local ::/0 dev lo table 100')
}

/** Builds the hosts of the demo: client 209.52.88.4, edge 203.0.113.10 and 35.191.0.9, backend 10.128.0.2. */
export async function edgeHosts(t: TestContext): Promise<DemoHosts> {
  const lab = new Lab()
  t.after(() => lab.close())
  return await buildDemoHosts(lab)
}
