import { test } from 'node:test'
import { startMany } from './many.ts'

test('an edge with 1,000 backends serves at once, and knows each of them right after their first probes', async (t) => {
  await startMany(t, { checkIntervalSec: 5, timeoutSec: 5 })
})
