import type { Endpoint } from '../../address/endpoint.ts'
import { formatIpAddress } from '../../address/ip-address.ts'
import { makeSpreadCells, writeSpread } from '../../balancing/choose-group.ts'
import { buildLocalityTable } from '../../balancing/locality.ts'
import { Availability } from '../balance/availability.ts'
import { makeCells, setAvailability } from '../balance/backend-table.ts'
import { type Plan, planGroup } from '../balance/plan.ts'
import { makeServiceCells } from '../balance/service-cells.ts'
import { makeClientCells } from './client-counts.ts'
import type { EdgeRoleOptions } from './edge-role-options.ts'

/** The id of the one frontend, group and backend of a warm-up, whose cells are its own. */
const ID = 0
/** A target, so that the connections towards it are counted as they are for any other group. */
const NEVER_REACHED = 1_000_000

type PlayedOptions = Omit<EdgeRoleOptions, 'datagramEntrance'>

/** What an edge plays: one plain backend, and clients that connect directly. */
export function warmUpOptions(
  { worker, entrance, service }: PlayedOptions,
  app: Endpoint,
  workerIndex: number,
): PlayedOptions {
  const cells = makeCells(workerIndex + 1)
  setAvailability(cells, ID, ID, Availability.up)
  // Each is counted, and none refused.
  const clientLimit = {
    cells: makeClientCells(),
    connectionsPerClientMax: NEVER_REACHED,
    connectionsMax: NEVER_REACHED,
    unlimitedClients: [],
  }
  const backends = [{ name: 'warm-up', address: formatIpAddress(app.address), port: app.port }]
  const group = { name: 'warm-up', region: '', backends }
  const table = buildLocalityTable(service.plan.locality, ['warm-up'])
  const spread = makeSpreadCells(1, 1)
  writeSpread(
    {
      levels: [{ groups: [0], domain: 0, share: 1 }],
      groups: [{ weight: 1, limit: NEVER_REACHED, state: 'serving' }],
    },
    spread,
  )
  const plan: Plan = {
    levels: [{ groups: [0], domain: 0 }],
    groups: [planGroup({ group, id: ID, backendIds: [ID], isNearest: true, table })],
    locality: service.plan.locality,
    spread,
    service: makeServiceCells(),
  }
  return {
    worker: { ...worker, cells, clientLimit, flowLimit: clientLimit, sourceAddresses: [], acceptProxyFrom: null },
    entrance: { ...entrance, id: ID },
    service: { ...service, plan, tls: undefined },
  }
}
