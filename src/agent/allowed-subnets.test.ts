import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatCidr } from '../address/cidr.ts'
import { AllowedSubnetsError, parseAllowedSubnets, readAllowedSubnets } from './allowed-subnets.ts'

function parse(text: string): string[] {
  return parseAllowedSubnets(text, 'edges.txt').map(formatCidr)
}

test('a list has one subnet per line; comments, blank lines and the line ends of other systems are fine', () => {
  assert.deepEqual(parse('35.191.0.0/16\n130.211.0.0/22\n'), ['35.191.0.0/16', '130.211.0.0/22'])
  assert.deepEqual(parse('\ufeff# edges\r\n\r\n  192.0.2.1 # one\r\n\t2001:db8::/32#all\r\n'), [
    '192.0.2.1/32',
    '2001:db8::/32',
  ])
  assert.deepEqual(parse('127.0.0.1/8'), ['127.0.0.0/8'], 'the last line may lack its end')
})

for (const [name, text] of [
  ['empty', ''],
  ['blank', ' \n\t\n\r\n'],
  ['comments only', '# 10.0.0.0/8\n#\n'],
] as const) {
  test(`a list that is ${name} trusts nobody: it is an error, not everyone`, () => {
    assert.throws(() => parse(text), {
      name: AllowedSubnetsError.name,
      message:
        '"edges.txt" contains no subnet; write the edges\' subnets into it, or give --allow-all-subnets to trust everyone',
    })
  })
}

for (const line of [
  '10.0.0.0/33',
  '10.0.0.0/-1',
  '10.0.0.0/',
  '10.0.0.0/8/8',
  '10.0.0.0 /8',
  '10.0.0/8',
  '10.0.0.0/255.0.0.0',
  '10.0.0.0/8 10.1.0.0/16',
  '10.0.0.0/8,',
  '2001:db8::/129',
  'fe80::1%eth0',
  '[2001:db8::1]',
  'edge.example',
  '*',
  'all',
  '10.0.0.0\0',
]) {
  test(`a list with ${JSON.stringify(line)} in it is refused as a whole, naming file and line`, () => {
    assert.throws(
      () => parse(`# first\n192.0.2.1\n${line}\n`),
      (error) => {
        assert.ok(error instanceof AllowedSubnetsError)
        assert.ok(
          error.message.startsWith(`Not a subnet: edges.txt:3: ${JSON.stringify(line)}; write one per line, such as`),
        )
        return true
      },
    )
  })
}

test('a file of another format is named, and not shown', () => {
  assert.throws(() => parse('-----BEGIN PRIVATE KEY-----\nMIGH\n'), {
    message: '"edges.txt" is a private key in PEM, and not a list of subnets; give a file with one subnet per line',
  })
})

test('many bad lines and very long ones make a short message', () => {
  assert.throws(
    () => parse(`${'x'.repeat(10_000)}\n`.repeat(1_000)),
    (error) => {
      assert.ok(error instanceof AllowedSubnetsError)
      assert.ok(error.message.length < 2_000)
      assert.match(error.message, /edges\.txt:10: /)
      assert.match(error.message, / and 990 more; write/)
      return true
    },
  )
})

test('a subnet in place of the file is told apart from a file that is missing', () => {
  const message = '"35.191.0.0/16" is a subnet; give a file that has subnets, one per line'
  assert.throws(() => readAllowedSubnets('35.191.0.0/16'), { name: AllowedSubnetsError.name, message })
})

test('a file that cannot be read is an error with its name, the reason and what to give instead', () => {
  for (const [path, reason] of [
    ['/nonexistent/edges.txt', 'ENOENT: no such file or directory'],
    ['/', 'EISDIR: illegal operation on a directory'],
  ] as const) {
    const message = `The allowed subnets in "${path}" cannot be read (${reason}); give a readable file`
    assert.throws(() => readAllowedSubnets(path), { name: AllowedSubnetsError.name, message })
  }
})
