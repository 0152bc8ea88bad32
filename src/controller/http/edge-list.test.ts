import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EdgeView } from '../publish/edge-hub.ts'
import { EDGES_PER_PAGE, edgePage } from './edge-list.ts'

function edge(index: number, backends = 0): EdgeView {
  const health = Object.fromEntries(Array.from({ length: backends }, (_, id) => [`b${id}`, 'HEALTHY' as const]))
  const applied = { generation: 'g', version: 1 }
  const report = { region: undefined, zone: undefined, applied, refused: undefined, health, sources: [] }
  return { name: `edge-${String(index).padStart(4, '0')}`, isConnected: true, report, reportedAt: undefined }
}

test('edges come in pages that lead through all of them', () => {
  const edges = Array.from({ length: 2 * EDGES_PER_PAGE + 1 }, (_, index) => edge(index))
  const names: string[] = []
  let token: string | undefined = ''
  for (; token !== undefined; ) {
    const page: ReturnType<typeof edgePage> = edgePage(edges, token)
    assert.ok(page.items.length <= EDGES_PER_PAGE)
    names.push(...page.items.map(({ name }) => name))
    token = page.nextPageToken
  }
  assert.deepEqual(
    names,
    edges.map(({ name }) => name),
  )
  assert.equal(edgePage(edges.slice(0, EDGES_PER_PAGE), '').nextPageToken, undefined)
})

test('of an edge with very many backends the health of some is told, and how many are left out', () => {
  const { items } = edgePage([edge(1, 1_000), edge(2, 1_250)], '')
  assert.deepEqual(
    items.map(({ report, healthOmitted }) => [Object.keys(report?.health ?? {}).length, healthOmitted]),
    [
      [1_000, undefined],
      [1_000, 250],
    ],
  )
})
