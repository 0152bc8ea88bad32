import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { stringify } from 'yaml'
import { checkResource } from './check-resource.ts'
import { formatProblem, type Problem } from './problem.ts'
import { readResources } from './read-resources.ts'
import { type CollectionName, definitions, isCollectionName } from './resources.ts'
import { anyTexts, soundValues } from './test-values.ts'

const collections = Object.keys(definitions).filter(isCollectionName)
const scopes = {
  global: { kind: 'global' },
  region: { kind: 'region', region: 'r' },
  zone: { kind: 'zone', zone: 'z-a' },
} as const

function assertBounded(problems: readonly Problem[]): void {
  assert.ok(problems.length > 0 && problems.length <= 101)
  for (const problem of problems) {
    const line = formatProblem(problem)
    assert.ok(line.length < 3000, line)
    assert.doesNotMatch(line, /[\p{Cc}\p{Cs}]/u)
    assert.ok(problem.rule !== '' && problem.remedy !== '' && !problem.rule.endsWith('.'), line)
  }
}

/** Checks a value, and what comes out of it once more. */
function assertCheck(collection: CollectionName, value: unknown): boolean {
  const scope = scopes[definitions[collection].scopes[0]]
  const result = checkResource(collection, value, 'source', scope)
  if ('problems' in result) {
    assertBounded(result.problems)
    return false
  }
  const { checked } = result
  assert.deepEqual(checkResource(collection, checked.resource, 'source', scope), { checked })
  return true
}

const anything = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withSparseArray: true,
  maxDepth: 4,
})
const fieldNames = [
  ...new Set(collections.flatMap((collection) => Object.keys(definitions[collection].schema.properties))),
]
const fieldLike = fc.dictionary(
  fc.oneof(fc.constantFrom(...fieldNames, '__proto__'), fc.string()),
  fc.oneof(fc.jsonValue(), anything),
)

test('no value is too strange to be checked', () => {
  fc.assert(
    fc.property(fc.constantFrom(...collections), fc.oneof(anything, fc.jsonValue(), fieldLike), (collection, value) => {
      assertCheck(collection, value)
    }),
    { numRuns: 1000 },
  )
})

test('a checked resource that is checked again is the same', () => {
  let sound = 0
  const numRuns = 1000
  const resources = fc.oneof(
    ...collections.map((name) => soundValues(definitions[name].schema).map((value) => [name, value] as const)),
  )
  fc.assert(
    fc.property(resources, ([collection, value]) => {
      if (assertCheck(collection, value)) sound++
    }),
    { numRuns },
  )
  assert.ok(sound > numRuns / 4, `only ${sound} of ${numRuns} were sound`)
})

test('one strange value in a sound resource is survived, and named if it is a problem', () => {
  const broken = fc.oneof(
    ...collections.map((name) =>
      fc
        .tuple(
          soundValues(definitions[name].schema),
          fc.constantFrom(...Object.keys(definitions[name].schema.properties)),
          anything,
        )
        .map(([value, field, strange]) => [name, { ...value, [field]: strange }] as const),
    ),
  )
  fc.assert(
    fc.property(broken, ([collection, value]) => void assertCheck(collection, value)),
    { numRuns: 1000 },
  )
})

test('any text, YAML or not, is read', () => {
  const lines = fc.array(
    fc.constantFrom(
      'kind: compute#address',
      'name: a',
      '- ',
      '---',
      '[',
      ']',
      '{',
      '}',
      '&a ',
      '*a',
      '? ',
      ': ',
      '|',
      '\t',
      '  ',
      '!!str ',
      '"',
      "'",
      '\0',
      '<<: ',
      '#',
    ),
  )
  const texts = fc.oneof(
    anyTexts,
    lines.map((parts) => parts.join('')),
    lines.map((parts) => parts.join('\n')),
  )
  fc.assert(
    fc.property(texts, (text) => {
      const { resources, problems } = readResources(text, '')
      if (problems.length > 0) assertBounded(problems)
      assert.ok(Array.isArray(resources))
    }),
    { numRuns: 1000 },
  )
})

test('resources written as YAML or JSON are read as they were checked', () => {
  const values = fc.constantFrom(...collections).chain((name) =>
    soundValues(definitions[name].schema).map((value) => ({
      ...value,
      ...locationOf(name),
      kind: definitions[name].kind,
    })),
  )
  fc.assert(
    fc.property(fc.array(values, { minLength: 1, maxLength: 4 }), (made) => {
      const json = JSON.stringify(made)
      // JSON has no -0, YAML has.
      const list = JSON.parse(json) as typeof made
      const read = readResources(json, '')
      assert.deepEqual(readResources(stringify(list), ''), read)
      assert.equal(
        readResources(list.map((value) => stringify(value)).join('---\n'), '').resources.length,
        read.resources.length,
      )
    }),
    { numRuns: 200 },
  )
})

function locationOf(collection: CollectionName): Record<string, string> {
  const kind = definitions[collection].scopes[0]
  return kind === 'global' ? {} : { [kind]: 'z-a' }
}
