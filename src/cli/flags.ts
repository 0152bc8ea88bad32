import { nearestWord } from '../compute/nearest-word.ts'
import { escapeControls, shortened } from '../text/plain-text.ts'

/** What is shown of a word from the command line; one may be as long as the kernel allows. */
const QUOTED_LENGTH_MAX = 80

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
  for (const { name, value } of tokenize(argv, table)) {
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

/** Takes the first word out of `argv` that is neither a flag nor the value of one; undefined: there is none. */
export function takeWord(
  argv: readonly string[],
  table: FlagTable,
): { readonly word: string | undefined; readonly rest: readonly string[] } {
  const withValue = Object.values(table).filter(({ metavar }) => metavar !== '')
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index]
    if (!word.startsWith('-')) return { word, rest: argv.toSpliced(index, 1) }
    if (!word.includes('=') && isFlag(word, withValue)) index += 1
  }
  return { word: undefined, rest: argv }
}

/** Says which of some actions a word is. @throws UsageError that names the action that was probably meant */
export function takeAction<Action extends string>(
  command: string,
  word: string | undefined,
  actions: readonly Action[],
): Action {
  const action = actions.find((name) => name === word)
  if (action !== undefined) return action
  const nearest = word === undefined ? undefined : nearestWord(word, actions)
  const given = word === undefined ? '' : `${quoted(word)} is not an action of ${command}; `
  const remedy = nearest === undefined ? `give one of ${actions.join(', ')}` : `did you mean "${nearest}"?`
  throw new UsageError(given === '' ? `${command} needs an action; ${remedy}` : `${given}${remedy}`)
}

/** A word from the command line as messages show it: in double quotes, escaped, and not longer than a line. */
export function quoted(word: string): string {
  return escapeControls(JSON.stringify(shortened(word, QUOTED_LENGTH_MAX)))
}

type Token = { readonly name: string; readonly value: string }

/** As Go's flag package, and so go-mmproxy: "-mark 1", "--mark 1", "-mark=1" and "--mark=1" are equal. */
function tokenize(argv: readonly string[], table: FlagTable): Token[] {
  const flags = Object.values(table)
  const tokens: Token[] = []
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index]
    const [, name, inline] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(word) ?? []
    if (name === undefined) throw new UsageError(`Unexpected ${quoted(word)}: only flags are allowed here; see --help`)
    const flag = flags.find((candidate) => candidate.name === name)
    if (flag === undefined)
      throw new UsageError(`Unknown flag ${quoted(word)}; ${nearestFlag(name, table)}--help lists the flags`)
    const isSwitch = flag.metavar === ''
    if (isSwitch && inline !== undefined) throw new UsageError(`${spelled(flag)} takes no value; leave "=" out`)
    if (isSwitch || inline !== undefined) {
      tokens.push({ name, value: inline ?? '' })
      continue
    }
    const value = argv[++index]
    if (value === undefined || isFlag(value, flags))
      throw new UsageError(`${spelled(flag)} needs a value: ${flag.metavar}`)
    tokens.push({ name, value })
  }
  return tokens
}

/** By its name, or by the one that a configuration file has for it. */
function nearestFlag(name: string, table: FlagTable): string {
  const flags = Object.values(table)
  const word = nearestWord(
    name,
    flags.map((flag) => flag.name),
  )
  const nearest = flags.find((flag) => flag.name === word) ?? table[nearestWord(name, Object.keys(table)) ?? '']
  return nearest === undefined ? '' : `did you mean ${spelled(nearest)}? `
}

/** Whether a word is one of these flags: "-l -4 127.0.0.1:112" is a forgotten value; one that begins like a flag can still be given with "=". */
export function isFlag(word: string, flags: readonly Flag<unknown>[]): boolean {
  return flags.some(({ name }) => new RegExp(`^--?${name}(=|$)`).test(word))
}
