import { test } from 'node:test'
import { killUnderLoad } from './kill.ts'

test('a controller that is killed under load 4 times has lost nothing it acknowledged', (t) => killUnderLoad(t, 4))
