import { type Document, isScalar, LineCounter, parseAllDocuments, visit, type YAMLError } from 'yaml'
import { foreignFormat } from '../text/foreign-format.ts'

/** The values of the documents in a text of YAML or JSON; a document that cannot be read says why, and where. */
export type YamlDocument = { readonly value: unknown } | { readonly errors: readonly YamlTextError[] }

/** What is wrong with the text itself. */
export type YamlTextError = { readonly rule: string; readonly remedy: string }

// Our own words, because those of the library repeat the text, which may be a private key.
const sentences: Partial<Record<YAMLError['code'], readonly [rule: string, remedy: string]>> = {
  BAD_ALIAS: ['an alias has no anchor', 'write the value out'],
  BAD_DQ_ESCAPE: ['there is an unknown escape in double quotes', 'write \\\\ for a backslash'],
  BAD_INDENT: ['the indentation is wrong', 'indent all entries of a mapping or list equally'],
  BAD_SCALAR_START: ['a text begins with a reserved character', 'put it in quotes'],
  BLOCK_AS_IMPLICIT_KEY: ['a mapping begins inside a line of another mapping', 'begin it on a new line'],
  MISSING_CHAR: ['a closing bracket, a quote, a comma or a colon is missing', 'add it'],
  MULTILINE_IMPLICIT_KEY: ['the name of a field spans several lines', 'write it in one line, and a text in quotes'],
  NON_STRING_KEY: ['the name of a field is not a text', 'give the name of a field'],
  RESOURCE_EXHAUSTION: ['lists or mappings are nested too deeply', 'correct the text'],
  TAB_AS_INDENT: ['a tab indents the line', 'indent by spaces'],
  TAG_RESOLVE_FAILED: ['there is an unknown tag', 'remove the tag'],
  UNEXPECTED_TOKEN: ['there is something that does not belong here', 'put texts with special characters in quotes'],
}

/** Repeated fields of one document that are named. Of other errors the first is: those after it are its consequences. */
const REPEATED_MAX = 10

/** Reads the documents of a text of YAML 1.2 or JSON. Never throws, and never repeats what the text says. */
export function readYamlDocuments(text: string): readonly YamlDocument[] {
  const foreign = foreignFormat(text)
  if (foreign !== undefined) {
    const rule = `it is ${foreign.what}, and neither YAML nor JSON`
    return [{ errors: [{ rule, remedy: 'give a file of YAML or JSON' }] }]
  }
  const lineCounter = new LineCounter()
  const at = (offset: number): string => {
    const { line, col } = lineCounter.linePos(offset)
    return `line ${line}, column ${col}`
  }
  const describe = ({ code, pos }: YAMLError): YamlTextError => {
    if (text.startsWith('-----', lineCounter.lineStarts[lineCounter.linePos(pos[0]).line - 1])) {
      return {
        rule: `${at(pos[0])}: PEM is not indented`,
        remedy: 'write "|" after the name of the field, and indent each line of the PEM',
      }
    }
    const [rule, remedy] = sentences[code] ?? [`it is neither YAML nor JSON (${code})`, 'correct the text']
    return { rule: `${at(pos[0])}: ${rule}`, remedy }
  }
  try {
    // uniqueKeys compares every key with every other; a set does it in one pass.
    const options = {
      lineCounter,
      prettyErrors: false,
      stringKeys: true,
      uniqueKeys: false,
      logLevel: 'silent',
    } as const
    return [...parseAllDocuments(text, options)].map((document) => {
      const wrong = document.errors.at(0) ?? document.warnings.at(0)
      if (wrong !== undefined) return { errors: [describe(wrong)] }
      const repeated = repeatedKeys(document).slice(0, REPEATED_MAX)
      if (repeated.length === 0) return { value: document.toJS() }
      const rule = 'the same field is given twice in one mapping'
      return { errors: repeated.map((offset) => ({ rule: `${at(offset)}: ${rule}`, remedy: 'remove one of them' })) }
    })
  } catch (error) {
    // RangeError: the stack of a parser that calls itself; ReferenceError: aliases that stand for too much.
    const [rule, remedy] =
      error instanceof RangeError
        ? ['lists or mappings are nested too deeply', 'correct the text']
        : ['its aliases cannot be followed, or expand to too much', 'write the values out']
    return [{ errors: [{ rule, remedy }] }]
  }
}

/** Where a key is that its mapping has already. */
function repeatedKeys(document: Document.Parsed): readonly number[] {
  const offsets: number[] = []
  visit(document, {
    Map(_, { items }) {
      const seen = new Set<unknown>()
      for (const { key } of items) {
        if (!isScalar(key)) continue
        if (seen.has(key.value)) offsets.push(key.range?.[0] ?? 0)
        seen.add(key.value)
      }
    },
  })
  return offsets
}
