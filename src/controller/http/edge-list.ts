import type { EdgeView } from '../publish/edge-hub.ts'

/** Edges of one page. */
export const EDGES_PER_PAGE = 100
/** Backends of an edge whose health is told: some of many. */
const HEALTH_SHOWN_MAX = 1_000

/** An edge as it is listed; `healthOmitted` says how many backends there are beside those in its report. */
type ListedEdge = EdgeView & { readonly healthOmitted?: number }

/** A page of edges; `nextPageToken` leads to the next one. */
export type EdgePage = { readonly items: readonly ListedEdge[]; readonly nextPageToken: string | undefined }

/**
 * Takes a page out of all edges, which are in the order of their names.
 *
 * @param after the token of the page before, the name of its last edge; empty: from the first on
 */
export function edgePage(edges: readonly EdgeView[], after: string): EdgePage {
  const rest = edges.filter(({ name }) => name > after)
  const items = rest.slice(0, EDGES_PER_PAGE).map(withLessHealth)
  return { items, nextPageToken: rest.length > EDGES_PER_PAGE ? items.at(-1)?.name : undefined }
}

function withLessHealth(edge: EdgeView): ListedEdge {
  const { report } = edge
  if (report === undefined) return edge
  const keys = Object.keys(report.health)
  const healthOmitted = keys.length - HEALTH_SHOWN_MAX
  if (healthOmitted <= 0) return edge
  const health = Object.fromEntries(keys.slice(0, HEALTH_SHOWN_MAX).map((key) => [key, report.health[key]]))
  return { ...edge, report: { ...report, health }, healthOmitted }
}
