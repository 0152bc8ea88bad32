// Words of a command line in a unit file (systemd.syntax(7), systemd.service(5) "Command lines").

const PLAIN = /^[A-Za-z0-9_./:,=@+[\]-]+$/
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n', '\t': '\\t', '\r': '\\r' }

/**
 * Quotes words for `ExecStart=`, so that the program gets exactly them: no word is split, no variable and no specifier
 * is expanded. The first word is the program; systemd takes its path as it is, without variables.
 *
 * @throws Error for a word that holds a zero byte, and for a program that is no absolute path
 */
export function quoteCommandLine(words: readonly string[]): string {
  const [program, ...args] = words
  if (program === undefined || !program.startsWith('/')) throw new Error(`"${program}" is not an absolute path`)
  return [quoteWord(program.replaceAll('%', '%%')), ...args.map(quoteArgument)].join(' ')
}

/** Quotes a value for `Environment=`, where "$" has no meaning. @throws Error for a zero byte */
export function quoteAssignment(name: string, value: string): string {
  return quoteWord(`${name}=${value.replaceAll('%', '%%')}`)
}

/**
 * The value of `LoadCredential=` for a file, where nothing can be quoted.
 *
 * @throws Error for a path that cannot be written there
 */
export function credentialSetting(name: string, path: string): string {
  if (!/^\/[^\p{Cc}\\]*[^\p{Cc}\\\s]$/u.test(path)) {
    throw new Error(`${JSON.stringify(path)} cannot be used in a unit; give an absolute path without "\\"`)
  }
  return `${name}:${path.replaceAll('%', '%%')}`
}

function quoteArgument(word: string): string {
  return quoteWord(word.replaceAll('%', '%%').replaceAll('$', '$$$$'))
}

function quoteWord(word: string): string {
  if (word.includes('\0')) throw new Error('A word of a command line cannot hold a zero byte')
  if (PLAIN.test(word)) return word
  return `"${[...word].map(escapeCharacter).join('')}"`
}

function escapeCharacter(character: string): string {
  const escaped = ESCAPES[character]
  if (escaped !== undefined) return escaped
  const code = character.codePointAt(0) ?? 0
  return code < 0x20 || code === 0x7f ? `\\x${code.toString(16).padStart(2, '0')}` : character
}
