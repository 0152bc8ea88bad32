import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isOptional, type ValueOf } from './json-schema.ts'
import { flag, integer, list, object, oneOf, optional, outputOnly, recorded, text, texts } from './schema.ts'

const schema = object('An example.', {
  name: text('Name.'),
  kind: oneOf('Kind.', ['A', 'B'], { default: 'A' }),
  port: optional(integer('Port.', 1, 9)),
  rules: list('Rules.', object('A rule.', { isOn: optional(flag('Whether it counts.')) })),
  labels: texts('Labels.'),
  id: outputOnly('Number.'),
  extra: recorded('Anything.'),
})

type Expected = {
  readonly name: string
  readonly kind: 'A' | 'B'
  readonly port?: number
  readonly rules: readonly { readonly isOn?: boolean }[]
  readonly labels: Readonly<Record<string, string>>
  readonly id?: never
  readonly extra?: unknown
}

type Shape<Value> = { readonly [Name in keyof Value]: Value[Name] }
type IsSame<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

test('the type of a value follows from its schema', () => {
  // What is asserted is said by the compiler: any other type makes this line an error.
  const isSame: IsSame<Shape<ValueOf<typeof schema>>, Shape<Expected>> = true
  assert.ok(isSame)
})

test('JSON does not show which fields are optional but by leaving them out of what is required', () => {
  assert.deepEqual(schema.required, ['name', 'rules', 'labels'])
  assert.deepEqual(JSON.parse(JSON.stringify(schema.properties.port)), {
    type: 'integer',
    description: 'Port.',
    minimum: 1,
    maximum: 9,
  })
  assert.deepEqual(
    Object.values(schema.properties).map((field) => isOptional(field)),
    [false, false, true, false, false, true, true],
  )
})
