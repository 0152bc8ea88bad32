/** What the metadata server shows at a path. */
export type MetadataNode =
  /** `json` is JSON text: an id has more digits than a number of JavaScript. */
  | { readonly kind: 'value'; readonly text: string; readonly json: string }
  | { readonly kind: 'lines'; readonly lines: readonly string[]; readonly format: MetadataFormat }
  | Directory
  /** Made when it is asked for, so that nothing of it is part of a larger answer. */
  | { readonly kind: 'token' | 'identity'; readonly account: ServiceAccount }

/** A node with nodes below it. */
export type Directory = {
  readonly kind: 'directory'
  /** In the order in which they are shown. */
  readonly entries: ReadonlyMap<string, MetadataNode>
  /** What JSON makes of the names: fields in camel case, the names that somebody gave, or the positions in a list. */
  readonly form: 'fields' | 'names' | 'list'
}

/** How an answer is written: `alt=json`, `alt=text`. */
export type MetadataFormat = 'json' | 'text'

/** Whose tokens a machine may have, and what they are for. */
export type ServiceAccount = { readonly email: string; readonly scopes: readonly string[] }

/** A text. */
export function text(value: string): MetadataNode {
  return { kind: 'value', text: value, json: JSON.stringify(value) }
}

/** A whole number, in decimal digits. */
export function number(digits: string): MetadataNode {
  return { kind: 'value', text: digits, json: digits }
}

/** Several texts: lines, or a list in JSON. */
export function lines(values: readonly string[], format: MetadataFormat = 'text'): MetadataNode {
  return { kind: 'lines', lines: values, format }
}

/** Fields, whose names are written with hyphens; those that are undefined are left out. */
export function fields(entries: Readonly<Record<string, MetadataNode | undefined>>): Directory {
  return directory('fields', Object.entries(entries))
}

/** Entries by names that are not ours. */
export function named(entries: Iterable<readonly [name: string, node: MetadataNode]>): Directory {
  return directory('names', entries)
}

/** Entries by their positions. */
export function list(nodes: readonly MetadataNode[]): Directory {
  return {
    kind: 'directory',
    form: 'list',
    entries: new Map(nodes.map((node, index) => [String(index), node])),
  }
}

/** The node at a path below another one; undefined: there is none. */
export function nodeAt(root: MetadataNode, path: readonly string[]): MetadataNode | undefined {
  let node: MetadataNode | undefined = root
  for (const name of path) node = node?.kind === 'directory' ? node.entries.get(name) : undefined
  return node
}

function directory(
  form: Directory['form'],
  entries: Iterable<readonly [name: string, node: MetadataNode | undefined]>,
): Directory {
  const given = [...entries].filter((entry): entry is [string, MetadataNode] => entry[1] !== undefined)
  return { kind: 'directory', form, entries: new Map(given.sort(([a], [b]) => (a < b ? -1 : 1))) }
}
