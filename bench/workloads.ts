/** A workload; `load` holds the words for bench/load.c but for the port and the seconds. */
export type Workload = {
  readonly name: string
  readonly command: 'pingpong' | 'connrate' | 'up' | 'down' | 'idle'
  readonly count: number
  readonly isBulk: boolean
  /** What `Point.cost` is, and what `Point.rate` is. */
  readonly costUnit: string
  readonly rateUnit: string
  readonly meaning: string
}

const pingpong = { command: 'pingpong', isBulk: false, costUnit: 'CPU µs per message', rateUnit: 'messages/s' } as const
const bulk = { isBulk: true, costUnit: 'CPU µs per MB', rateUnit: 'MB/s' } as const

/** All workloads, in the order in which they run; `idleConnections` is the count of the last one. */
export function allWorkloads(idleConnections: number): readonly Workload[] {
  return [
    { ...pingpong, name: 'lat1', count: 1, meaning: '64 bytes there and back, 1 connection' },
    { ...pingpong, name: 'pp64', count: 64, meaning: '64 bytes there and back, 64 connections' },
    { ...pingpong, name: 'pp512', count: 512, meaning: '64 bytes there and back, 512 connections' },
    {
      name: 'connrate',
      command: 'connrate',
      count: 32,
      isBulk: false,
      costUnit: 'CPU µs per connection',
      rateUnit: 'connections/s',
      meaning: 'connect, 64 bytes there and back, close; 32 at a time',
    },
    { ...bulk, name: 'up1', command: 'up', count: 1, meaning: 'client to app, 1 stream' },
    { ...bulk, name: 'down1', command: 'down', count: 1, meaning: 'app to client, 1 stream' },
    { ...bulk, name: 'up8', command: 'up', count: 8, meaning: 'client to app, 8 streams' },
    { ...bulk, name: 'down8', command: 'down', count: 8, meaning: 'app to client, 8 streams' },
    {
      name: 'idle',
      command: 'idle',
      count: idleConnections,
      isBulk: false,
      costUnit: 'KiB of memory per connection',
      rateUnit: 'connections',
      meaning: `resident memory of ${idleConnections} connections that have exchanged 64 bytes`,
    },
  ]
}
