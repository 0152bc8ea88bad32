import { test } from 'node:test'
import { checkSilentConnections } from './silent-connections.ts'

test('10,000 silent connections are closed at the header timeout, memory is flat, a good client is served', (t) =>
  checkSilentConnections(t, 10_000, 10))
