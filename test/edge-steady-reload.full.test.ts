import { test } from 'node:test'
import { checkReloads } from './edge-steady-reload.ts'

test('sixty reloads, one each second, under 200 connections a second: no connection fails, none is touched', (t) =>
  checkReloads(t, 6, 1_000))
