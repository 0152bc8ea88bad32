import { formats } from './formats.ts'
import { isOptional, type Report, type Schema } from './json-schema.ts'
import { copyJson, isHarmless, isMapping, type Mapping } from './json-value.ts'
import { nearestWord } from './nearest-word.ts'
import { fieldPath, quoted } from './problem.ts'
import { parseReference } from './reference.ts'

/** Where a check says what it found. */
export type Findings = { readonly report: Report; readonly count: number }

/** Words that a problem names. */
const WORDS_NAMED_MAX = 8
/** Unknown fields of one mapping that are named. */
const UNKNOWN_NAMED_MAX = 20
/** JSON of protocol buffers may write a number as a text. */
const DECIMAL = /^-?[0-9]{1,19}(\.[0-9]{1,19})?$/

/**
 * Checks a JSON value against a schema of `schema.ts`, and says all that is wrong with it.
 *
 * Returns the value with defaults in place and texts in their canonical form, without what only a server sets. Where
 * something was reported, the result is incomplete. Never throws, whatever the value is.
 */
export function checkValue(field: Schema, value: unknown, path: string, findings: Findings): unknown {
  if (field.readOnly === true) return undefined
  if (field['x-harmless'] !== undefined) return checkUnsupported(field, value, path, findings)
  if (field.enum !== undefined) return checkWord(field, field.enum, value, path, findings)
  switch (field.type) {
    case 'object':
      return checkMapping(field, value, path, findings)
    case 'array':
      return checkList(field, value, path, findings)
    case 'string':
      return checkText(field, value, path, findings)
    case 'integer':
    case 'number':
      return checkNumber(field, value, path, findings)
    case 'boolean':
      if (typeof value === 'boolean') return value
      return findings.report(path, `${quoted(value)} is neither true nor false`, 'give true or false')
    default:
      return checkRecorded(value, path, findings)
  }
}

function checkMapping(field: Schema, value: unknown, path: string, findings: Findings): unknown {
  if (!isMapping(value))
    return findings.report(path, `${quoted(value)} is not a mapping`, 'give fields and their values')
  const { properties, additionalProperties, rules = [], normalize } = field
  if (properties === undefined) return checkTexts(additionalProperties as Schema, value, path, findings)
  const countBefore = findings.count
  const faulty = new Set<string>()
  const checked: [string, unknown][] = []
  for (const [name, property] of Object.entries(properties)) {
    const before = findings.count
    const item = checkProperty(property, value[name], fieldPath(path, name), findings)
    if (item !== undefined) checked.push([name, item])
    if (findings.count > before) faulty.add(name)
  }
  reportUnknown(value, properties, path, findings)
  const object = Object.fromEntries(checked)
  const report: Report = (inner, ...rest) => findings.report(joined(path, inner), ...rest)
  for (const { over, check } of rules) if (!over.some((name) => faulty.has(name))) check(object as never, report)
  return normalize === undefined || findings.count > countBefore ? object : normalize(object as never)
}

/**
 * null means what leaving the field out means, and so does an empty text where a name or an address is optional.
 *
 * Both are refused where leaving the field out turns a check off, which `minLength` says: they are what a template with
 * an empty variable makes.
 */
function checkProperty(field: Schema, value: unknown, path: string, findings: Findings): unknown {
  const { format, pattern, minLength, 'x-remedy': remedy = 'fill it' } = field
  const mayBeMissing = isOptional(field)
  const isFormed = format !== undefined || pattern !== undefined
  const isEmpty = value === null || (mayBeMissing && isFormed && value === '')
  if (isEmpty && minLength !== undefined) return findings.report(path, 'it is empty', remedy)
  if (value !== undefined && !isEmpty) return checkValue(field, value, path, findings)
  if (field.default !== undefined) return checkValue(field, field.default, path, findings)
  if (!mayBeMissing) findings.report(path, 'it is missing', `add it${example(field, ', such as')}`, 'required')
  return undefined
}

function reportUnknown(value: Mapping, properties: Mapping, path: string, findings: Findings): void {
  const unknown = Object.keys(value).filter((name) => !Object.hasOwn(properties, name))
  for (const name of unknown.slice(0, UNKNOWN_NAMED_MAX)) {
    const nearest = nearestWord(name, Object.keys(properties))
    const remedy = nearest === undefined ? 'remove it' : `give ${nearest}, if you meant that, or remove it`
    findings.report(fieldPath(path, name), 'there is no field of this name', remedy, 'unknownField')
  }
  const more = unknown.length - UNKNOWN_NAMED_MAX
  if (more > 0) findings.report(path, `there are ${more} more unknown fields`, 'remove them', 'unknownField')
}

function checkTexts(field: Schema, value: Mapping, path: string, findings: Findings): unknown {
  const texts = Object.entries(value).map(([key, item]) => [
    key,
    checkText(field, item, fieldPath(path, key), findings),
  ])
  return Object.fromEntries(texts)
}

function checkList(field: Schema, value: unknown, path: string, findings: Findings): unknown {
  const { items, minItems = 0, maxItems = Number.POSITIVE_INFINITY } = field
  if (!Array.isArray(value)) return findings.report(path, `${quoted(value)} is not a list`, 'give a list')
  if (value.length < minItems) findings.report(path, 'the list is empty', `list at least ${minItems}`, 'required')
  if (value.length > maxItems) {
    findings.report(path, `the list has ${value.length} entries, more than ${maxItems}`, `keep ${maxItems} of them`)
  }
  // Not map: it would pass over the holes of a list that has some.
  return items && Array.from(value, (item, index) => checkValue(items, item, `${path}[${index}]`, findings))
}

function checkWord(field: Schema, words: readonly string[], value: unknown, path: string, findings: Findings): unknown {
  if (typeof value === 'string' && words.includes(value)) return value
  if (typeof value === 'string' && field['x-unsupported']?.includes(value)) {
    return findings.report(path, `${value} is not supported`, field['x-remedy'] ?? `give ${words[0]}`, 'unsupported')
  }
  const nearest = typeof value === 'string' ? nearestWord(value, words) : undefined
  const named =
    words.length > WORDS_NAMED_MAX ? `${words.slice(0, WORDS_NAMED_MAX).join(', ')} and so on` : words.join(', ')
  const rule = words.length === 1 ? `${quoted(value)} is not ${named}` : `${quoted(value)} is not one of ${named}`
  return findings.report(path, rule, `give ${nearest ?? words[0]}`)
}

function checkNumber(field: Schema, value: unknown, path: string, findings: Findings): unknown {
  const { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = field
  const number = typeof value === 'string' && DECIMAL.test(value) ? Number(value) : value
  const kind = field.type === 'integer' ? 'a whole number' : 'a number'
  const isNumber = field.type === 'integer' ? Number.isInteger(number) : Number.isFinite(number)
  const remedy = `give ${kind} from ${minimum} to ${maximum}${example(field, ', such as')}`
  if (typeof number !== 'number' || !isNumber) return findings.report(path, `${quoted(value)} is not ${kind}`, remedy)
  if (number < minimum || number > maximum) {
    return findings.report(path, `${number} is not between ${minimum} and ${maximum}`, remedy)
  }
  // Adding 0 turns -0 into 0.
  return number + 0
}

function checkText(field: Schema, value: unknown, path: string, findings: Findings): unknown {
  const format = field.format === undefined ? undefined : formats[field.format]
  const text = format?.takesNumbers && Number.isSafeInteger(value) ? String(value) : value
  const shown = format?.isHidden ? 'it' : quoted(value)
  const remedy = `give ${format?.expected ?? 'a text'}${example(field, ', such as')}`
  if (typeof text !== 'string') {
    return findings.report(path, `${quoted(value)} is not a text`, isMapping(value) ? remedy : 'put it in quotes')
  }
  const { maxLength = Number.POSITIVE_INFINITY, pattern } = field
  if (text.length > maxLength) {
    const rule = `a text of ${text.length} characters is longer than ${maxLength}`
    return findings.report(path, rule, `give at most ${maxLength} characters`)
  }
  if (pattern !== undefined && !new RegExp(pattern).test(text)) {
    return findings.report(path, `${shown} does not match ${pattern}`, remedy)
  }
  if (field.format === 'reference') return checkReference(field, text, path, findings)
  if (format === undefined) return text
  const read = format.read(text)
  return read ?? findings.report(path, `${shown} is not ${format.expected}`, format.remedyFor?.(text) ?? remedy)
}

function checkReference(field: Schema, text: string, path: string, findings: Findings): unknown {
  const collections = field['x-collections'] ?? []
  const reference = parseReference(text)
  const wanted = collections.join(' or ')
  if (reference === undefined) {
    const remedy = `give the name or the URL of one of ${wanted}`
    return findings.report(path, `${quoted(text)} is not a reference to a resource`, remedy)
  }
  const { collection } = reference
  if (collection === undefined || collections.includes(collection)) return text
  return findings.report(path, `${quoted(text)} is one of ${collection}`, `name one of ${wanted}`, 'wrongKind')
}

/** What changes nothing is kept, so that whoever gave it finds it again. */
function checkUnsupported(field: Schema, value: unknown, path: string, findings: Findings): unknown {
  if (isHarmless(value, field['x-harmless'] ?? [])) return isEmpty(value) ? undefined : copyJson(value)
  return findings.report(path, 'the field is not supported', field['x-remedy'] ?? 'remove it', 'unsupported')
}

function isEmpty(value: unknown): boolean {
  return value === null || value === '' || (typeof value === 'object' && Object.keys(value).length === 0)
}

function checkRecorded(value: unknown, path: string, findings: Findings): unknown {
  return copyJson(value) ?? findings.report(path, 'it is not plain data, or it is nested too deeply', 'remove it')
}

/** An example of a field's value, behind some words; empty where there is none. */
function example({ examples, enum: words, format, ...field }: Schema, before: string): string {
  const collection = field['x-collections']?.[0]
  const reference = collection === undefined ? undefined : `global/${collection}/NAME`
  const value = examples?.[0] ?? (format === 'reference' ? reference : (words?.[0] ?? field.default))
  return typeof value === 'string' || typeof value === 'number' ? `${before} ${value}` : ''
}

function joined(path: string, inner: string): string {
  return path === '' || inner === '' ? path + inner : `${path}.${inner}`
}
