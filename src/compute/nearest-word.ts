const WORD_LENGTH_MAX = 64

/** The known word that was most likely meant: the same but for case and punctuation, or for one character, or two of them. */
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

/** One character more, fewer or another, or two that changed places, in words of at least four. */
function isOneEditAway(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1 || Math.min(a.length, b.length) < 4) return false
  let start = 0
  while (start < a.length && a[start] === b[start]) start++
  let end = 0
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++
  const differing = Math.max(a.length, b.length) - start - end
  const isSwapped = a.length === b.length && differing === 2 && a[start] === b[start + 1] && a[start + 1] === b[start]
  return differing <= 1 || isSwapped
}
