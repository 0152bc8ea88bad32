import { test } from 'node:test'
import { survivesFlood } from './test-flood.ts'

test('100,000 invented addresses end only others of their kind, and take no more memory than there are places', (t) => {
  survivesFlood(t, 100_000)
})
