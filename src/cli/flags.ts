import { parseArgs } from 'node:util'

/** Something wrong with the command line: exit status 2. The message names the value, the rule and the remedy. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** One flag of a command. `parse` checks a value at the door and throws {@link UsageError}. */
export type Flag<Value> = {
  /** Without dashes. One dash and two mean the same; so do "-name value" and "-name=value". */
  readonly name: string
  /** How the help shows the value, such as "ADDR:PORT"; empty for a switch. */
  readonly metavar: string
  readonly help: string
  /** As one would write it on the command line; undefined: there is no default. */
  readonly defaultText: string | undefined
  readonly isRepeatable: boolean
  readonly parse: (text: string, flag: string) => Value
}

/** The flags of a command by the name that its options type uses. */
export type FlagTable = Readonly<Record<string, Flag<unknown>>>

type FlagValue<F> = F extends Flag<infer Value> ? Value : never
/** What {@link parseFlags} returns for a table: a list per flag, in the order given; the default where none was. */
export type FlagValues<Table> = { readonly [Name in keyof Table]: readonly FlagValue<Table[Name]>[] }

/** Declares a flag that takes a value. */
export function valueFlag<Value>(
  name: string,
  metavar: string,
  help: string,
  parse: (text: string, flag: string) => Value,
  defaultText?: string,
): Flag<Value> {
  return { name, metavar, help, defaultText, isRepeatable: false, parse }
}

/** Declares a flag that may be given more than once. */
export function listFlag<Value>(
  name: string,
  metavar: string,
  help: string,
  parse: (text: string, flag: string) => Value,
): Flag<Value> {
  return { name, metavar, help, defaultText: undefined, isRepeatable: true, parse }
}

/** Declares a flag without a value. */
export function switchFlag(name: string, help: string): Flag<true> {
  return { name, metavar: '', help, defaultText: undefined, isRepeatable: false, parse: () => true }
}

/** A flag as it is written in messages and help: one letter or digit after one dash, words after two. */
export function spelled(flag: Pick<Flag<unknown>, 'name'>): string {
  return flag.name.length === 1 ? `-${flag.name}` : `--${flag.name}`
}

/**
 * Reads `argv` by a table of flags.
 *
 * @throws UsageError for an unknown flag, a missing, repeated or unexpected value, or a word that is no flag
 */
export function parseFlags<Table extends FlagTable>(argv: readonly string[], table: Table): FlagValues<Table> {
  const given = new Map<string, string[]>()
  for (const { name, value } of tokenize(argv, Object.values(table))) {
    given.set(name, [...(given.get(name) ?? []), value])
  }
  const values: Record<string, unknown[]> = {}
  for (const [key, flag] of Object.entries(table)) {
    const texts = given.get(flag.name) ?? (flag.defaultText === undefined ? [] : [flag.defaultText])
    if (texts.length > 1 && !flag.isRepeatable) {
      throw new UsageError(`${spelled(flag)} is given ${texts.length} times; give it once`)
    }
    values[key] = texts.map((text) => flag.parse(text, spelled(flag)))
  }
  return values as FlagValues<Table>
}

function tokenize(argv: readonly string[], flags: readonly Flag<unknown>[]): { name: string; value: string }[] {
  const types = Object.fromEntries(
    flags.map((flag) => [flag.name, { type: flag.metavar === '' ? 'boolean' : 'string', multiple: true } as const]),
  )
  const { tokens } = parseArgs({ args: argv.map(normalize), options: types, strict: false, tokens: true })
  return tokens.map((token) => {
    if (token.kind !== 'option') {
      const word = token.kind === 'positional' ? token.value : '--'
      throw new UsageError(`Unexpected ${JSON.stringify(word)}: only flags are taken here; see --help`)
    }
    const flag = flags.find((candidate) => candidate.name === token.name)
    if (flag === undefined) throw new UsageError(`Unknown flag ${token.rawName}; see --help for those there are`)
    const isSwitch = flag.metavar === ''
    if (isSwitch && token.value !== undefined) throw new UsageError(`${spelled(flag)} takes no value`)
    if (!isSwitch && token.value === undefined) throw new UsageError(`${spelled(flag)} needs a value: ${flag.metavar}`)
    return { name: flag.name, value: token.value ?? '' }
  })
}

/** Go's flag package, and so go-mmproxy, takes "-mark 1" and "--mark=1" alike: every flag is given two dashes. */
function normalize(word: string): string {
  return /^-[A-Za-z0-9]/.test(word) ? `-${word}` : word
}
