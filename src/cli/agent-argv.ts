import { agentStartFlags } from './agent.ts'
import { type Flag, type FlagTable, type FlagValues, parseFlags, spelled } from './flags.ts'

/**
 * Reads `argv` for a command that is about an agent: takes the command's own flags, and leaves those of the agent.
 *
 * @returns `agentArgv`: the agent's flags, `--config` among them, as they were given, in the order and spelling of the
 *   table
 * @throws UsageError as {@link parseFlags} does, for either kind of flag
 */
export function splitAgentArgv<Table extends FlagTable>(
  argv: readonly string[],
  ownFlags: Table,
): { readonly agentArgv: readonly string[]; readonly own: FlagValues<Table> } {
  const agentTexts = Object.fromEntries(
    Object.entries<Flag<unknown>>(agentStartFlags).map(([key, flag]) => [`agent.${key}`, asText(flag)]),
  )
  const values: FlagValues<FlagTable> = parseFlags(argv, { ...agentTexts, ...ownFlags })
  const agentArgv = Object.entries(agentTexts).flatMap(([key, flag]) =>
    (values[key] as readonly string[]).flatMap((text) => words(flag, text)),
  )
  return { agentArgv, own: values as FlagValues<Table> }
}

/** The flag with its text as its value, which is still checked; a default is the agent's own business. */
function asText(flag: Flag<unknown>): Flag<string> {
  const parse = (text: string, name: string): string => {
    flag.parse(text, name)
    return text
  }
  return { ...flag, defaultText: undefined, parse }
}

function words(flag: Flag<unknown>, text: string): string[] {
  if (flag.metavar === '') return [spelled(flag)]
  // A value that looks like a flag has to be in the same word.
  return text.startsWith('-') ? [`${spelled(flag)}=${text}`] : [spelled(flag), text]
}
