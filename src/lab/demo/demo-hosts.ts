import type { Host } from '../host.ts'
import type { Lab } from '../lab.ts'

/** The addresses of one address family: the client's, the edge's on either side, the backend's, and the app's own. */
export type DemoAddresses = {
  readonly family: 'IPv4' | 'IPv6'
  readonly client: string
  readonly edge: string
  readonly edgeSource: string
  readonly backend: string
  readonly app: string
}

export const IPV4: DemoAddresses = {
  family: 'IPv4',
  client: '209.52.88.4',
  edge: '203.0.113.10',
  edgeSource: '35.191.0.9',
  backend: '10.128.0.2',
  app: '127.0.0.1',
}

export const IPV6: DemoAddresses = {
  family: 'IPv6',
  client: '2001:db8:209::4',
  edge: '2001:db8:203::10',
  edgeSource: '2001:db8:35::9',
  backend: '2001:db8:10::2',
  app: '::1',
}

/** The hosts of the demo; it draws them as "client ── edge ── backend". */
export type DemoHosts = { readonly client: Host; readonly edge: Host; readonly backend: Host }

/**
 * Builds the three hosts with their addresses and routes.
 *
 * The backend routes everything back through the edge, as an instance does through its gateway: only the agent's
 * routing keeps the app's answers on the host.
 */
export async function buildDemoHosts(lab: Lab): Promise<DemoHosts> {
  const client = await lab.addHost('client')
  const edge = await lab.addHost('edge')
  const backend = await lab.addHost('backend')
  await lab.link(
    {
      host: client,
      addresses: [`${IPV4.client}/24`, `${IPV6.client}/64`],
      routes: ['203.0.113.0/24', '2001:db8:203::/64'],
    },
    {
      host: edge,
      addresses: [`${IPV4.edge}/24`, `${IPV6.edge}/64`],
      routes: ['209.52.88.0/24', '2001:db8:209::/64'],
    },
  )
  await lab.link(
    {
      host: edge,
      addresses: [`${IPV4.edgeSource}/16`, `${IPV6.edgeSource}/64`],
      routes: [`10.128.0.0/20 src ${IPV4.edgeSource}`, `2001:db8:10::/64 src ${IPV6.edgeSource}`],
    },
    {
      host: backend,
      addresses: [`${IPV4.backend}/20`, `${IPV6.backend}/64`],
      routes: ['35.191.0.0/16', '2001:db8:35::/64', `0.0.0.0/0 via ${IPV4.edgeSource}`, `::/0 via ${IPV6.edgeSource}`],
    },
  )
  return { client, edge, backend }
}
