// STYLE.md "Words to use and to avoid": what users read is plain, idiomatic English.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/** Nowhere, in comments neither. A text may stand for another, and a clock stand still. */
const AVOIDED_EVERYWHERE = [
  /\b(?:stands?|stood)\b(?! (?:for|still)\b)/i,
  /\bmend(?:s|ed|ing)?\b/i,
  /\bseldom\b/i,
  /\bever more\b/i,
  /\bothers than\b/i,
  /\bnevertheless\b/i,
  /\ball the same\b/i,
  /\b[Mm]andatory\b/,
  /\bsuch that\b/i,
]

/** In what users read, also: */
const AVOIDED = [
  ...AVOIDED_EVERYWHERE,
  /\b(?:that|which) (?:is|are) none\b/i,
  /(?<!\bthere )\bis no (?!(?:longer|more|less|other)\b)[a-z]/i,
  /\bdoes not go with\b/i,
  /\bgoes round\b|\bround the (?:agent|edge)\b/i,
]

/** Pages for users; a decision is a record of its time. */
function pages(): string[] {
  const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
  return ['README.md', ...docs.filter((path) => /\.md$/.test(path)).map((path) => join('docs', path))].filter(
    (path) => !path.startsWith('docs/decisions/'),
  )
}

/** Code whose texts users read: neither tests nor the hosts of tests. */
function programs(): string[] {
  return readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !/(?:\.test\.ts$|^lab\/|\/test-)/.test(path))
    .map((path) => join('src', path))
}

/** The texts of some words in a program, without its comments. */
function texts(source: string): string[] {
  const tokens = source.matchAll(
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'((?:\\.|[^'\\\n])*)'|"((?:\\.|[^"\\\n])*)"|`((?:\\.|[^`\\])*)`/g,
  )
  return [...tokens].map(([, single, double, template]) => single ?? double ?? template ?? '')
}

/** The comments of a program. */
function comments(source: string): string[] {
  return [...source.matchAll(/(?:^|\s)(?:\/\/|\/?\*).*$/gm)].map(([comment]) => comment)
}

function avoidedIn(where: string, text: string, patterns = AVOIDED): string[] {
  return patterns.flatMap((pattern) => {
    const [found] = pattern.exec(text) ?? []
    return found === undefined ? [] : [`${where}: "${found}" in ${JSON.stringify(text.slice(0, 160))}`]
  })
}

test('the words that STYLE.md avoids are in no page, help text, error or line of the log', () => {
  const found = [
    ...pages().flatMap((page) =>
      readFileSync(join(ROOT, page), 'utf8')
        .split(/\n\s*\n/)
        .flatMap((paragraph) => avoidedIn(page, paragraph.replaceAll(/\s+/g, ' '))),
    ),
    ...programs().flatMap((program) =>
      texts(readFileSync(join(ROOT, program), 'utf8')).flatMap((text) => avoidedIn(program, text)),
    ),
  ]
  assert.deepEqual(found, [])
})

test('words that nobody should have to read are in no comment and no page for those who work on the code', () => {
  const tools = readdirSync(join(ROOT, 'tools')).filter((name) => name.endsWith('.mjs'))
  const code = [...programs(), ...tools.map((name) => join('tools', name))]
  const found = [
    ...['ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md'].flatMap((page) =>
      avoidedIn(page, readFileSync(join(ROOT, page), 'utf8').replaceAll(/\s+/g, ' '), AVOIDED_EVERYWHERE),
    ),
    ...code.flatMap((path) =>
      comments(readFileSync(join(ROOT, path), 'utf8')).flatMap((text) => avoidedIn(path, text, AVOIDED_EVERYWHERE)),
    ),
  ]
  assert.deepEqual(found, [])
})
