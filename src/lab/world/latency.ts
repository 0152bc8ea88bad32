import { runIn } from './ip-commands.ts'
import { REGIONS } from './places.ts'
import { byDistance, routerOf } from './routers.ts'

/** Light in glass, and cables that are not straight. */
const KILOMETRES_PER_MS = 200 / 1.4
/** As many packets as are on the way at 10 Gbit/s, so that none is lost for want of room. */
const PACKETS_MAX = 100_000

/** How long a packet takes for such a distance, in milliseconds. */
export function delayMs(kilometres: number): number {
  return Math.round(kilometres / KILOMETRES_PER_MS)
}

/**
 * Has packets between regions take as long as between the real ones.
 *
 * @returns why not; undefined: they do
 */
export async function delayPackets(): Promise<string | undefined> {
  for (const { name } of REGIONS) {
    for (const { region, kilometres = 0 } of byDistance(name)) {
      if (region === name) continue
      const queue = ['netem', 'delay', `${delayMs(kilometres)}ms`, 'limit', `${PACKETS_MAX}`]
      try {
        await runIn(routerOf(name), 'tc', ['qdisc', 'replace', 'dev', `to-${region}`, 'root', ...queue])
      } catch {
        return 'the kernel has no netem (module sch_netem)'
      }
    }
  }
  return undefined
}
