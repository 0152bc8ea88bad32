import { type IpAddress, parseIpAddress } from '../address/ip-address.ts'
import { runChecked } from './run.ts'
import { readTextFile } from './text-file.ts'

/** What `ip -json route show` says of a route; only the part that is read here. */
type ShownRoute = {
  readonly gateway?: string
  readonly via?: { readonly host?: string }
  readonly nexthops?: readonly Pick<ShownRoute, 'gateway' | 'via'>[]
}

/** The routers that this host sends through, in every table. @throws ProgramError */
export async function gateways(): Promise<readonly IpAddress[]> {
  const shown = await Promise.all(
    ['-4', '-6'].map((family) => runChecked('ip', [family, '-json', 'route', 'show', 'table', 'all'])),
  )
  const routes = shown.flatMap((text) => JSON.parse(text === '' ? '[]' : text) as readonly ShownRoute[])
  const hops = routes.flatMap((route) => [route, ...(route.nexthops ?? [])])
  return hops.flatMap(({ gateway, via }) => parseIpAddress(gateway ?? via?.host ?? '') ?? [])
}

/** The servers that this host asks for names (resolv.conf(5)); none where there is no such file. */
export function nameServers(path = '/etc/resolv.conf'): readonly IpAddress[] {
  let text: string
  try {
    text = readTextFile(path)
  } catch {
    return []
  }
  return [...text.matchAll(/^\s*nameserver\s+([^\s%#;]+)/gm)].flatMap(
    ([, address = '']) => parseIpAddress(address) ?? [],
  )
}
