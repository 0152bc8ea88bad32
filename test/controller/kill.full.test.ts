import { test } from 'node:test'
import { killUnderLoad } from './kill.ts'

test('a controller that is killed under load 200 times has lost nothing it acknowledged', (t) => killUnderLoad(t, 200))
