import fc from 'fast-check'
import { isOptional, type Schema } from './json-schema.ts'
import { CERTIFICATE, PRIVATE_KEY } from './test-pem.ts'

type Value = Record<string, unknown>

const textsOfFormat: Readonly<Record<string, readonly unknown[]>> = {
  ip: ['203.0.113.10', '2001:DB8::1'],
  'ip-or-range': ['2001:db8::/96', '::1'],
  'ip-or-address-reference': ['203.0.113.10', '2001:db8::1', 'lb-ip', 'global/addresses/lb-ip'],
  cidr: ['35.191.0.0/16', '10.1.2.3', '::/0'],
  port: ['110', 443],
  'one-port-range': ['110', '110-110', 443],
  'port-range': ['110', '8000-8999', 443],
  'ip-protocol': ['tcp', 'UDP', 6],
  int64: ['30', '007', 1024],
  ascii: ['', 'ping\r\n'],
  'certificate-pem': [CERTIFICATE],
  'private-key-pem': [PRIVATE_KEY],
}

/** Texts of any UTF-16 units, control characters and unpaired surrogates included. */
export const anyTexts = fc
  .array(fc.oneof(fc.nat(0xff), fc.nat(0xffff)), { maxLength: 300 })
  .map((units) => String.fromCharCode(...units))

/** Values in which every field is sound by itself; the rules between fields may still be broken. */
export function soundValues({ properties = {} }: Schema): fc.Arbitrary<Value> {
  const names = Object.keys(properties)
  const always = names.filter((name) => !isOptional(properties[name]) && properties[name].default === undefined)
  const sometimes = names.filter((name) => !always.includes(name))
  return fc.subarray(sometimes, { maxLength: Math.min(6, sometimes.length) }).chain((chosen) => {
    const entries = [...always, ...chosen].map((name) => [name, soundField(properties[name])] as const)
    return fc.record(Object.fromEntries(entries))
  })
}

function soundField(field: Schema): fc.Arbitrary<unknown> {
  if (field.readOnly === true) return fc.jsonValue()
  const harmless = field['x-harmless']
  if (harmless !== undefined) return fc.constantFrom(null, false, '', 0, [], { a: [0] }, ...harmless)
  if (field.enum !== undefined) return fc.constantFrom(...field.enum)
  const { properties, items, minItems = 0, minimum = 0, maximum = 0, examples, format } = field
  const [collection] = field['x-collections'] ?? []
  switch (field.type) {
    case 'object':
      return properties === undefined ? fc.dictionary(fc.string(), fc.string()) : soundValues({ properties })
    case 'array':
      return fc.array(soundField(items ?? {}), { minLength: minItems, maxLength: 2 })
    case 'integer':
      return fc.integer({ min: minimum, max: maximum }).chain((value) => fc.constantFrom(value, `${value}`))
    case 'number':
      return fc.constantFrom(0, 0.1, 0.5, '0.8', 1)
    case 'boolean':
      return fc.boolean()
    case 'string':
      if (collection !== undefined)
        return fc.constantFrom('n', `global/${collection}/n`, `https://h/projects/p/global/${collection}/n`)
      if (format !== undefined) return fc.constantFrom(...textsOfFormat[format])
      return examples !== undefined
        ? fc.constantFrom(...examples)
        : field.pattern === undefined
          ? fc.string()
          : fc.constant('/')
    default:
      return fc.jsonValue()
  }
}
