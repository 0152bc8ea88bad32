import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ControllerMetrics } from '../telemetry/controller-registry.ts'
import { dataPlaneMetrics, type Metrics } from '../telemetry/registry.ts'
import { agentListenerFlags } from './agent.ts'
import { parseAgentConfig } from './agent-config.ts'
import { agentControllerFlags } from './agent-controller.ts'
import { processFlags } from './data-plane-flags.ts'
import { exampleAgentConfig, referencePages } from './reference.ts'

const FOLDER = new URL('../../../docs/reference/', import.meta.url)
const REMEDY = 'run "npm run docs" and commit docs/reference'

const NO_WORKERS = { workers: 1, stuck: [], stalls: 0 }

test('the committed reference is what the tables of the program say', () => {
  const pages = referencePages()
  assert.deepEqual(readdirSync(FOLDER).sort(), [...pages.keys()].sort(), REMEDY)
  for (const [name, text] of pages) {
    assert.equal(readFileSync(new URL(name, FOLDER), 'utf8'), text, `docs/reference/${name} is stale: ${REMEDY}`)
  }
})

test('lines of the reference are no longer than 120 characters', () => {
  for (const [name, text] of referencePages()) {
    const long = text.split('\n').filter((line) => line.length > 120 && !line.startsWith('#'))
    assert.deepEqual(long, [], name)
  }
})

test('the example of a configuration file is taken, and has every key', () => {
  const text = exampleAgentConfig()
  // Of the ways to name trusted edges only one may be used in a listener.
  const { listeners, admin, controller } = parseAgentConfig(text, 'agent.yaml')
  assert.deepEqual(
    listeners.map(({ trust }) => trust.kind),
    ['file', 'subnets', 'controller'],
  )
  assert.equal(controller?.name, 'my-backend')
  assert.equal(admin?.kind, 'tcp')
  const keys = { ...agentListenerFlags, ...agentControllerFlags, ...processFlags }
  for (const key of ['workers', 'allowedSubnets', ...Object.keys(keys)]) {
    assert.match(text, new RegExp(`^[ -]*${key}: `, 'm'), key)
  }
})

/** The names of the metrics of ours that an admin server shows. */
async function shownMetrics(metrics: Metrics): Promise<string[]> {
  return [...(await metrics.text()).matchAll(/^# TYPE (truepeer_\S+)/gm)].map(([, name]) => name)
}

test('the page of metrics names every metric of ours that there is, and no other', async () => {
  const edge = dataPlaneMetrics({
    read: () => 0,
    droppedRecords: () => 0,
    liveness: () => NO_WORKERS,
    version: '1.2.3',
    edge: () => undefined,
  })
  const controller = new ControllerMetrics(
    () => undefined,
    () => 0,
    '1.2.3',
  )
  const names = [...new Set([...(await shownMetrics(edge)), ...(await shownMetrics(controller))])]
  const documented = [...(referencePages().get('metrics.md') ?? '').matchAll(/^## `(\S+)`$/gm)].map(([, name]) => name)
  assert.deepEqual(documented.sort(), names.sort())
})
