import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { testDirectory } from '../../test/rig/directory.ts'
import { parseEdge } from '../cli/edge.ts'
import { askAsEdge } from './controller-connection.ts'

test('a server that is not a controller never counts as one that knows an edge, whatever it answers', async (t) => {
  const path = join(testDirectory(t), 'other.sock')
  let status = 200
  const server = createServer((_request, response) => response.writeHead(status).end('{}')).listen(path)
  t.after(() => server.close())
  await once(server, 'listening')
  const { configuration } = parseEdge(['--controller', `unix:${path}`, '--name', 'edge-1'])
  assert.ok(configuration.kind === 'controller')
  const answers = []
  for (status of [200, 400, 404]) answers.push((await askAsEdge(configuration)).kind)
  assert.deepEqual(answers, ['unreachable', 'refused', 'refused'])
})
