import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseEdge } from '../cli/edge.ts'
import type { EdgePlace } from '../edge/backends/region-distances.ts'
import { edgePlace } from './edge-place.ts'

const ARGS = ['--listen', '192.0.2.1:110', '--backend', '192.0.2.2:110', '--zone', 'us-central1-b']

function placeWith(t: TestContext, text?: string): Promise<EdgePlace> {
  if (text === undefined) return edgePlace(parseEdge(ARGS))
  const folder = mkdtempSync(join(tmpdir(), 'edge-place-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'regions.yaml')
  writeFileSync(file, text)
  return edgePlace(parseEdge([...ARGS, '--regions', file, '--proximity', 'measured']))
}

test('positions are those of Google, and what a file adds', async (t) => {
  const { positions, ...plain } = await placeWith(t)
  assert.deepEqual(plain, { region: 'us-central1', zone: 'us-central1-b', proximity: 'distance' })
  const added = await placeWith(t, 'regions: [{ name: cellar, latitude: 52.5, longitude: 13.4 }]')
  assert.equal(added.proximity, 'measured')
  assert.deepEqual(added.positions.get('cellar'), { latitude: 52.5, longitude: 13.4 })
  assert.equal(added.positions.size, positions.size + 1)
})

test('a file that cannot be used is refused, with the place and what to do', async (t) => {
  await assert.rejects(placeWith(t, 'regions: [{ name: cellar, latitude: 91, longitude: 0 }]'), (error: Error) => {
    assert.match(error.message, /regions\.yaml: regions\[0\]\.latitude: 91 is not between -90 and 90; give degrees/)
    return true
  })
  await assert.rejects(placeWith(t, 'regions: ['), /regions\.yaml: line 1/)
  await assert.rejects(placeWith(t, '---\nregions: []\n---\nregions: []\n'), /there are several documents; write one/)
  await assert.rejects(
    edgePlace(parseEdge([...ARGS, '--regions', '/nowhere'])),
    /--regions "\/nowhere": the file cannot be read \(ENOENT.*give a readable file$/,
  )
})
