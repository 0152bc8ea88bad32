import { createHash } from 'node:crypto'
import type { Directory, MetadataFormat, MetadataNode } from './metadata-node.ts'

const ETAG_DIGITS = 16

/** The body of an answer, and what it is. */
export type MetadataText = { readonly format: MetadataFormat; readonly body: string }

/** What a node looks like: with all below it, or of a directory the names only. `alt`: what was asked for. */
export function textOf(node: MetadataNode, isRecursive: boolean, alt: MetadataFormat | undefined): MetadataText {
  if (node.kind === 'directory' && !isRecursive) return listingOf(node, alt ?? 'text')
  const format = alt ?? ownFormat(node)
  return { format, body: format === 'json' ? (jsonOf(node) ?? '') : plainTextOf(node) }
}

/** Changes whenever anything at or below a node does. */
export function etagOf(node: MetadataNode): string {
  const content = jsonOf(node) ?? ''
  return createHash('sha256').update(content).digest('hex').slice(0, ETAG_DIGITS)
}

function ownFormat(node: MetadataNode): MetadataFormat {
  if (node.kind === 'directory') return 'json'
  return node.kind === 'lines' ? node.format : 'text'
}

function listingOf({ entries }: Directory, format: MetadataFormat): MetadataText {
  const names = [...entries].map(([name, node]) => (node.kind === 'directory' ? `${name}/` : name))
  return { format, body: format === 'json' ? JSON.stringify(names) : names.map((name) => `${name}\n`).join('') }
}

/** undefined: it is never part of an answer. */
function jsonOf(node: MetadataNode): string | undefined {
  switch (node.kind) {
    case 'value':
      return node.json
    case 'lines':
      return JSON.stringify(node.lines)
    case 'directory':
      return directoryJson(node)
    case 'token':
    case 'identity':
      return undefined
  }
}

function directoryJson({ entries, form }: Directory): string {
  const written = [...entries].flatMap(([name, node]) => {
    const json = jsonOf(node)
    return json === undefined ? [] : [{ name, json }]
  })
  if (form === 'list') return `[${written.map(({ json }) => json).join(',')}]`
  const key = (name: string) => JSON.stringify(form === 'fields' ? camelCase(name) : name)
  return `{${written.map(({ name, json }) => `${key(name)}:${json}`).join(',')}}`
}

/** `ip-aliases` is `ipAliases`. */
function camelCase(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
}

function plainTextOf(node: MetadataNode): string {
  if (node.kind === 'value') return node.text
  if (node.kind === 'lines') return node.lines.map((line) => `${line}\n`).join('')
  return pathLines(node, '').join('')
}

/** Each value in a line behind its path: `0/mode READ_WRITE`. */
function pathLines(node: MetadataNode, path: string): readonly string[] {
  switch (node.kind) {
    case 'value':
      return [`${path} ${node.text}\n`]
    case 'lines':
      return node.lines.map((line) => `${path} ${line}\n`)
    case 'directory':
      return [...node.entries].flatMap(([name, entry]) => pathLines(entry, path === '' ? name : `${path}/${name}`))
    case 'token':
    case 'identity':
      return []
  }
}
