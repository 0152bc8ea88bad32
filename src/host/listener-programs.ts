import type { Protocol } from '../address/endpoint.ts'
import { runTool } from './tools.ts'

/** A program that listens; only root sees those of other users. */
export type ListenerProgram = {
  readonly name: string
  readonly pid: string
  /** Where it listens, as ss(8) prints it. */
  readonly at: string
}

/** The programs that listen on a port of this host, on whichever address. @throws HostError */
export async function listenersOn(port: number, protocol: Protocol): Promise<readonly ListenerProgram[]> {
  const { stdout } = await runTool('ss', [protocol === 'tcp' ? '-Hltnp' : '-Hlunp', `sport = :${port}`])
  return stdout.split('\n').flatMap((line) => {
    const at = line.split(/\s+/)[3] ?? ''
    return [...line.matchAll(/\("([^"]*)",pid=(\d+)/g)].map(([, name, pid]) => ({ name, pid, at }))
  })
}
