import type { Endpoint } from '../../address/endpoint.ts'
import { formatIpAddress } from '../../address/ip-address.ts'
import { Availability } from '../balance/availability.ts'
import { makeCells, setAvailability } from '../balance/backend-table.ts'
import { compilePlan } from '../balance/plan.ts'
import { makeClientCells } from './client-counts.ts'
import type { EdgeRoleOptions } from './edge-role-options.ts'

/** The id of the one frontend, group and backend of a warm-up, whose cells are its own. */
const ID = 0
/** A target, so that the connections towards it are counted as they are for any other group. */
const NEVER_REACHED = 1_000_000

/** What an edge plays: one plain backend, and clients that connect directly. */
export function warmUpOptions(
  { worker, entrance, service }: EdgeRoleOptions,
  app: Endpoint,
  workerIndex: number,
): EdgeRoleOptions {
  const cells = makeCells(workerIndex + 1)
  setAvailability(cells, ID, ID, Availability.up)
  const balancing = {
    mode: 'CONNECTION',
    maxConnections: NEVER_REACHED,
    maxUtilization: undefined,
    capacityScaler: 1,
  } as const
  // Each is counted, and none refused.
  const clientLimit = {
    cells: makeClientCells(),
    connectionsPerClientMax: NEVER_REACHED,
    connectionsMax: NEVER_REACHED,
    unlimitedClients: [],
  }
  const backends = [{ name: 'warm-up', address: formatIpAddress(app.address), port: app.port }]
  const group = { name: 'warm-up', region: '', balancing, backends }
  return {
    worker: { ...worker, cells, clientLimit, sourceAddresses: [], acceptProxyFrom: null },
    entrance: { ...entrance, id: ID },
    service: { ...service, plan: compilePlan([{ group, id: ID, backendIds: [ID] }], undefined), tls: undefined },
  }
}
