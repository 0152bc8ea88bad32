import fc from 'fast-check'
import { type TSchema, Type } from 'typebox'
import { CERTIFICATE, PRIVATE_KEY } from './test-pem.ts'

type Field = TSchema & Readonly<Record<string, unknown>>
type Value = Record<string, unknown>

const textsOfFormat: Readonly<Record<string, readonly unknown[]>> = {
  ip: ['203.0.113.10', '2001:DB8::1'],
  'ip-or-range': ['2001:db8::/96', '::1'],
  'ip-or-address-reference': ['203.0.113.10', '2001:db8::1', 'lb-ip', 'global/addresses/lb-ip'],
  cidr: ['35.191.0.0/16', '10.1.2.3/8', '::/0'],
  port: ['110', 443],
  'one-port-range': ['110', '110-110', 443],
  'port-range': ['110', '8000-8999', 443],
  'ip-protocol': ['tcp', 'UDP', 6],
  ascii: ['', 'ping\r\n'],
  'certificate-pem': [CERTIFICATE],
  'private-key-pem': [PRIVATE_KEY],
}

/** Texts of any UTF-16 units, control characters and unpaired surrogates included. */
export const anyTexts = fc
  .array(fc.oneof(fc.nat(0xff), fc.nat(0xffff)), { maxLength: 300 })
  .map((units) => String.fromCharCode(...units))

/** Values in which every field is sound by itself; the rules between fields may still be broken. */
export function soundValues(schema: TSchema): fc.Arbitrary<Value> {
  const { properties } = schema as Field & { readonly properties: Readonly<Record<string, Field>> }
  const names = Object.keys(properties)
  const always = names.filter((name) => !Type.IsOptional(properties[name]) && properties[name].default === undefined)
  const sometimes = names.filter((name) => !always.includes(name))
  return fc.subarray(sometimes, { maxLength: Math.min(6, sometimes.length) }).chain((chosen) => {
    const entries = [...always, ...chosen].map((name) => [name, soundField(properties[name])] as const)
    return fc.record(Object.fromEntries(entries))
  })
}

function soundField(field: Field): fc.Arbitrary<unknown> {
  if (field.readOnly === true) return fc.jsonValue()
  const harmless = field['x-harmless']
  if (Array.isArray(harmless)) return fc.constantFrom(null, false, '', 0, [], { a: [0] }, ...harmless)
  if (Array.isArray(field.enum)) return fc.constantFrom(...field.enum)
  const { minimum, maximum, examples, format } = field
  const [collection] = (field['x-collections'] as readonly string[] | undefined) ?? []
  switch (field.type) {
    case 'object':
      return field.properties === undefined ? fc.dictionary(fc.string(), fc.string()) : soundValues(field)
    case 'array':
      return fc.array(soundField(field.items as Field), { minLength: Number(field.minItems ?? 0), maxLength: 2 })
    case 'integer':
      return fc
        .integer({ min: Number(minimum), max: Number(maximum) })
        .chain((value) => fc.constantFrom(value, `${value}`))
    case 'number':
      return fc.constantFrom(0, 0.1, 0.5, '0.8', 1)
    case 'boolean':
      return fc.boolean()
    case 'string':
      if (collection !== undefined)
        return fc.constantFrom('n', `global/${collection}/n`, `https://h/projects/p/global/${collection}/n`)
      if (typeof format === 'string') return fc.constantFrom(...textsOfFormat[format])
      return Array.isArray(examples)
        ? fc.constantFrom(...examples)
        : field.pattern === undefined
          ? fc.string()
          : fc.constant('/')
    default:
      return fc.jsonValue()
  }
}
