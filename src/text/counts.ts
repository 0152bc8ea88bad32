/** How many there are of something, in words: "1 frontend", "3 frontends". */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** The first few of some words, and how many there are beside them: "a, b, and 3 more". */
export function firstOf(words: readonly string[], max: number): string {
  const more = words.length - max
  return `${words.slice(0, max).join(', ')}${more > 0 ? `, and ${more} more` : ''}`
}
