const WORD_LENGTH_MAX = 64

/** The known word that was most likely meant: the same but for case and punctuation, or for one character. */
export function nearestWord(word: string, known: readonly string[]): string | undefined {
  if (word.length > WORD_LENGTH_MAX) return undefined
  const plain = plainLetters(word)
  return (
    known.find((candidate) => plainLetters(candidate) === plain) ??
    known.find((candidate) => isOneEditAway(plainLetters(candidate), plain))
  )
}

function plainLetters(word: string): string {
  return word.toLowerCase().replace(/[^a-z0-9]/g, '')
}

/** One character more, fewer or another, in words of at least four. */
function isOneEditAway(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1 || Math.min(a.length, b.length) < 4) return false
  let start = 0
  while (start < a.length && a[start] === b[start]) start++
  let end = 0
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++
  return Math.max(a.length, b.length) - start - end <= 1
}
