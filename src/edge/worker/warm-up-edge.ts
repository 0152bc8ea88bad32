import type { Endpoint } from '../../address/endpoint.ts'
import { formatIpAddress } from '../../address/ip-address.ts'
import { Availability } from '../balance/availability.ts'
import { makeCells, setAvailability } from '../balance/backend-table.ts'
import type { EdgeRoleOptions } from './edge-role.ts'

/** The id of the one frontend, group and backend of a warm-up, whose cells are its own. */
const ID = 0
/** A target, so that the connections towards it are counted as they are for any other group. */
const NEVER_REACHED = 1_000_000
const NO_OPENING = [new Uint8Array(0)]

/** What an edge plays: one plain backend, and clients that connect directly. */
export function warmUpEdge(
  options: EdgeRoleOptions,
  app: Endpoint,
  workerIndex: number,
): { readonly roleOptions: EdgeRoleOptions; readonly openings: readonly Uint8Array[] } {
  const { frontend, service } = options
  const cells = makeCells(workerIndex + 1)
  setAvailability(cells, ID, Availability.up)
  const backend = { id: ID, name: 'warm-up', address: formatIpAddress(app.address), port: app.port }
  const balancing = {
    mode: 'CONNECTION',
    maxConnections: NEVER_REACHED,
    maxUtilization: undefined,
    capacityScaler: 1,
  } as const
  const group = { id: ID, name: 'warm-up', region: '', zone: '', balancing, backends: [backend] }
  const roleOptions: EdgeRoleOptions = {
    ...options,
    frontend: { ...frontend, id: ID },
    service: { ...service, groups: [group], tls: undefined },
    cells,
    localRegion: undefined,
    sourceAddresses: [],
    acceptProxyFrom: null,
  }
  return { roleOptions, openings: NO_OPENING }
}
