// Texts of others inside our own: on one line, not too long, and without what could do anything to a terminal.

/** Control, format, private, unassigned and unpaired surrogate characters, and line separators. */
const CONTROLS = /[\p{C}\p{Zl}\p{Zp}]/gu

/** The same on one line for a terminal: each character that could do anything else than be seen as "?". */
export function withoutControls(text: string): string {
  return text.replace(CONTROLS, '?')
}

/** Each such character as `\u{…}`. */
export function escapeControls(text: string): string {
  return text.replace(CONTROLS, escaped)
}

/** Everything that is not printable ASCII as `\u{…}`. */
export function escapeNonAscii(text: string): string {
  return text.replace(/[^ -~]/gu, escaped)
}

/** The first `lengthMax` code units of a text, with "…" for the rest. */
export function shortened(text: string, lengthMax: number): string {
  return text.length > lengthMax ? `${text.slice(0, lengthMax)}…` : text
}

function escaped(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`
}
