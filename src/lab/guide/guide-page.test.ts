import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { readGuide } from './guide-page.ts'

const page = (name: string): string => readFileSync(new URL(`../../../../docs/guide/${name}`, import.meta.url), 'utf8')

test('a page is rows of commands, of programs that go on, and of what they print', () => {
  const text = [
    '```sh\nis before the first row\n```',
    '### 1. The first',
    'Words.\n```\nfor readers\n```',
    '```sh\necho a\necho b\n```\n```text\na\n…\n```',
    '<!-- row needs jq go-mmproxy -->\n<!-- needs sshd -->\n```sh\nssh\n```\n```text\nhi\n```',
    '### 2. The second',
    '```sh\n# on my-backend, until row 2 is done\ncat\n```\n```text my-backend cat\nread\n```',
    '```sh\n# on client6\ntrue\n```',
  ].join('\n\n')
  assert.deepEqual(readGuide(text), [
    {
      number: 1,
      title: 'The first',
      needs: ['jq', 'go-mmproxy'],
      steps: [
        { kind: 'commands', host: 'client', text: 'echo a\necho b', shown: ['a', '…'] },
        { kind: 'commands', host: 'client', text: 'ssh', shown: ['hi'], needs: ['sshd'] },
      ],
    },
    {
      number: 2,
      title: 'The second',
      needs: [],
      steps: [
        { kind: 'program', host: 'my-backend', text: 'cat', untilRow: 2 },
        { kind: 'printed', host: 'my-backend', program: 'cat', lines: ['read'] },
        { kind: 'commands', host: 'client6', text: 'true' },
      ],
    },
  ])
})

test('what cannot be typed or compared is refused', () => {
  assert.throws(() => readGuide('### 1. A\n```sh\ntrue'), /line 2 has no end/)
  assert.throws(() => readGuide('### 1. A\n```text\nprinted by whom\n```'), /Line 2: what is printed comes after/)
  assert.throws(() => readGuide('### 1. A\n```yaml\na: b\n```'), /Line 2: a block is "sh", "text"/)
})

test('the guide has its 29 rows in order, and each can be seen', () => {
  const rows = readGuide(page('README.md'))
  assert.deepEqual(
    rows.map(({ number }) => number),
    Array.from({ length: 29 }, (_, index) => index + 1),
  )
  for (const { number, steps } of rows) {
    const isShown = steps.some((step) => step.kind === 'printed' || (step.kind === 'commands' && step.shown))
    assert.ok(isShown, `row ${number}`)
  }
})

test('the guide in Chinese has the same rows and the same blocks, and prose for each piece of prose', () => {
  const english = page('README.md')
  const chinese = page('README.zh-CN.md')
  const untitled = (text: string) => readGuide(text).map(({ title: _, ...row }) => row)
  assert.deepEqual(untitled(chinese), untitled(english))
  assert.deepEqual(shape(chinese), shape(english))
  for (const { number, title } of readGuide(chinese)) assert.match(title, /\p{Script=Han}|^UDP$/u, `row ${number}`)
})

/** Headings by their level, blocks by their text, and paragraphs of prose only as such. */
function shape(text: string): readonly string[] {
  const blocks = text.split(/(^```.*?^```$)/ms)
  return blocks.flatMap((block) =>
    block.startsWith('```')
      ? [block]
      : block
          .split(/\n\s*\n/)
          .map((paragraph) => paragraph.trim())
          .filter((paragraph) => paragraph !== '')
          .map((paragraph) => /^#+|^<!--.*-->$/.exec(paragraph)?.[0] ?? 'prose'),
  )
}
