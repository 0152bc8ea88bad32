import { forceIpIn } from './ip-commands.ts'
import { GLOBAL_POOLS, REGIONS } from './places.ts'
import { byDistance, routerOf, towards } from './routers.ts'

/**
 * Says to all routers that the edge of a region answers at the global addresses: each sends what it gets for them to the
 * nearest edge that does, from its own region.
 */
export async function announce(region: string): Promise<void> {
  await tellRouters('replace', region)
}

/** Says that it does not any more. */
export async function withdraw(region: string): Promise<void> {
  await tellRouters('delete', region)
}

async function tellRouters(action: 'replace' | 'delete', region: string): Promise<void> {
  await Promise.all(REGIONS.map(({ name }) => forceIpIn(routerOf(name), anycastRoutes(name, region, action))))
}

/** The routes of one router to the edge of a region; the farther it is, the higher is their metric. */
export function anycastRoutes(router: string, region: string, action: 'replace' | 'delete'): readonly string[] {
  const metric = 10 * (1 + byDistance(router).findIndex((one) => one.region === region))
  return GLOBAL_POOLS.map((pool) => {
    const via = router === region ? `via ${edgeAddress(region, pool)}` : towards(region, pool)
    return `route ${action} ${pool} ${via} metric ${metric}`
  })
}

function edgeAddress(region: string, pool: string): string {
  const addresses = REGIONS.find(({ name }) => name === region)?.edgeAddresses ?? []
  return addresses.find((address) => address.includes(':') === pool.includes(':')) ?? ''
}
