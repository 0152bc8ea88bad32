import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drawRatios } from './ratio-plot.ts'
import { judgeRatios } from './statistics.ts'

const AHEAD = { label: 'slow one', color: '#123456', ratio: judgeRatios([0.4, 0.5, 0.5, 0.5, 0.5, 0.6]) }
const UNCLEAR = { label: 'a <b> & "c"', color: '#654321', ratio: judgeRatios([0.9, 1.2]) }

function numbersOf(svg: string, pattern: RegExp): number[] {
  return [...svg.matchAll(pattern)].map((match) => Number(match[1]))
}

test('a ratio below 1 stands left of the line at 1, and its interval around its dot', () => {
  const svg = drawRatios('ratios', [{ title: 'up1', lines: [AHEAD] }])
  const [one] = numbersOf(svg, /<line x1="([0-9.]+)"[^>]*stroke="#333"/g)
  const [low] = numbersOf(svg, /<line x1="([0-9.]+)"[^>]*stroke="#123456"/g)
  const [high] = numbersOf(svg, /<line [^>]*x2="([0-9.]+)"[^>]*stroke="#123456"/g)
  const [dot] = numbersOf(svg, /<circle cx="([0-9.]+)"/g)
  assert.ok(low < dot && dot < high && high < one, `${low} < ${dot} < ${high} < ${one}`)
  assert.match(svg, /<circle [^>]*fill="#123456"/)
})

test('a ratio without an interval is hollow and has no bar', () => {
  const svg = drawRatios('ratios', [{ title: 'up1', lines: [UNCLEAR] }])
  assert.match(svg, /<circle [^>]*fill="#fff"/)
  assert.doesNotMatch(svg, /<line [^>]*stroke="#654321"/)
})

test('the drawing is well formed whatever the names hold, and everything lies inside it', () => {
  const svg = drawRatios('x < y & z', [
    { title: '"a"', lines: [UNCLEAR, AHEAD] },
    { title: 'b', lines: [AHEAD] },
  ])
  const open = [...svg.matchAll(/<(\/?)([a-z]+)[^<>]*?(\/?)>/g)].reduce<string[]>(
    (stack, [, closes, name, isEmpty]) => {
      if (closes === '/') assert.equal(stack.pop(), name)
      else if (isEmpty !== '/') stack.push(name)
      return stack
    },
    [],
  )
  assert.deepEqual(open, [])
  assert.doesNotMatch(svg.replace(/<[^<>]*>/g, ''), /[<>]|&(?!#[0-9]+;)/)
  const [height] = numbersOf(svg, /<svg [^>]*height="([0-9]+)"/g)
  for (const y of numbersOf(svg, /<(?:text|circle) [^>]*?c?y="([0-9.]+)"/g)) assert.ok(y < height, `${y} of ${height}`)
})
