import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { checkValue } from './check-value.ts'
import { formats } from './formats.ts'
import type { Schema } from './json-schema.ts'
import { resourceEntries } from './resource-entries.ts'
import { definitions, isCollectionName } from './resources.ts'

function everyField(field: Schema): readonly Schema[] {
  const inner = [...Object.values(field.properties ?? {}), ...(field.items === undefined ? [] : [field.items])]
  return [field, ...inner.flatMap(everyField)]
}

test('every field of every resource says what it is, and in one sentence', () => {
  for (const { schema } of Object.values(definitions)) {
    for (const { description } of everyField(schema)) assert.match(String(description), /^[A-Z`][^\n]*\.$/)
  }
})

test('defaults and examples are taken by the field that names them', () => {
  for (const [collection, { schema }] of Object.entries(definitions)) {
    for (const field of everyField(schema)) {
      const samples = [...(field.examples ?? []), ...('default' in field ? [field.default] : [])]
      for (const sample of samples) {
        let count = 0
        const report = () => void count++
        checkValue(field, sample, '', { report, count: 0 })
        assert.equal(count, 0, `${collection}: ${JSON.stringify(sample)}`)
      }
    }
  }
})

test('references lead to collections that there are, and formats are known', () => {
  for (const { schema } of Object.values(definitions)) {
    for (const field of everyField(schema)) {
      for (const collection of field['x-collections'] ?? []) assert.ok(isCollectionName(collection))
      if (field.format !== undefined && field.format !== 'reference') assert.ok(Object.hasOwn(formats, field.format))
    }
  }
})

test('a schema is JSON, and what has a default need not be given', () => {
  const schema = JSON.parse(JSON.stringify(definitions.backendServices.schema))
  assert.deepEqual(schema.required, ['name'])
  assert.equal(schema.properties.timeoutSec.default, 30)
  assert.equal(schema.properties.id.readOnly, true)
  assert.match(JSON.stringify(definitions.sslCertificates.schema.properties.privateKey), /"writeOnly":true/)
  assert.deepEqual(JSON.parse(JSON.stringify(definitions.firewalls.schema.properties.allowed.items)).required, [
    'IPProtocol',
  ])
})

test('the reference has every field once, under what it is good for', () => {
  const entries = resourceEntries()
  assert.deepEqual(
    entries.map(({ collection }) => collection),
    Object.keys(definitions),
  )
  for (const { fields, accepted } of entries) {
    const paths = [...fields.map(({ path }) => path), ...Object.values(accepted).flat()]
    assert.equal(new Set(paths).size, paths.length)
  }
  const services = entries.find(({ collection }) => collection === 'backendServices')
  const facts = new Map(services?.fields.map((field) => [field.path, field.facts]))
  assert.equal(facts.get('backends[].capacityScaler'), 'a number from 0 to 1; default `1`')
  assert.equal(
    facts.get('backends[].group'),
    'a reference to one of `instanceGroups`, `networkEndpointGroups`; has to be given',
  )
  assert.equal(facts.get('healthChecks'), 'a list: a reference to one of `healthChecks`; at most 1')
  assert.ok(services?.accepted.outputOnly.includes('selfLink'))
  assert.ok(services?.accepted.unsupported.includes('backends[].maxRate'))
  assert.ok(services?.accepted.recorded.includes('logConfig.optionalMode'))
})

test('every field of the Compute Engine v1 API is known', () => {
  // By collection and object: the names of the fields, as in version 42 of the npm package @googleapis/compute.
  const file = new URL('../../../src/compute/testdata/google-fields.json', import.meta.url)
  const google = JSON.parse(readFileSync(file, 'utf8')) as Record<string, Record<string, string>>
  assert.deepEqual(Object.keys(google), Object.keys(definitions))
  for (const { collection, fields, accepted } of resourceEntries()) {
    const known = new Set([...fields.map(({ path }) => path), ...Object.values(accepted).flat()])
    for (const [object, names] of Object.entries(google[collection])) {
      const paths = names.split(' ').map((name) => (object === '.' ? name : `${object}.${name}`))
      assert.deepEqual(
        paths.filter((path) => !known.has(path)),
        [],
        collection,
      )
    }
  }
})
