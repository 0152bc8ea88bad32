import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { isIP } from 'node:net'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { headerLengthMax, type ProxyHeader } from './proxy-header.ts'
import { readProxyDatagram, readProxyHeader } from './read-proxy-header.ts'
import { readLikeTheSpecification, summarize } from './test-oracle.ts'
import { RandomHeaders } from './test-random.ts'

/** How many inputs to try; a long run sets 1000000. The seed of a run is printed, and given again to repeat it. */
const RUN_COUNT = Number(process.env.TRUEPEER_FUZZ_RUNS ?? 20_000)
const SEED = Number(process.env.TRUEPEER_FUZZ_SEED ?? randomInt(2 ** 31))

const V2_LENGTH_MAX = 600
const limits = { v2LengthMax: V2_LENGTH_MAX }
const [before, zeros] = [Buffer.alloc(16, 0x50), Buffer.alloc(700)]

function read(bytes: Uint8Array, length: number): ProxyHeader {
  return readProxyHeader(bytes, 0, length, limits)
}

/** The claims that hold for any bytes; the message of a failure holds the input. */
function checkInput(input: Buffer, random: RandomHeaders): void {
  const whole = read(input, input.length)
  const length = input.length
  const claim = (holds: boolean, what: string): void => {
    if (!holds) assert.fail(`${what}: ${input.toString('hex')} is ${JSON.stringify(whole)}`)
  }
  claim(
    summarize(whole) === readLikeTheSpecification(input, V2_LENGTH_MAX, isIP),
    'accepted exactly if valid, as meant',
  )
  claim(isDeepStrictEqual(read(Buffer.concat([input, zeros]), length), whole), 'nothing after the end counts')

  const moved = readProxyHeader(Buffer.concat([before, input, random.bytes(20)]), 16, 16 + length, limits)
  claim(moved.kind === whole.kind && summarize(moved) === summarize(whole), 'the place in the buffer does not count')

  if (whole.kind !== 'incomplete' && whole.kind !== 'malformed') {
    claim(whole.bytesRead <= length && whole.bytesRead <= headerLengthMax(limits), 'a header is within its bounds')
    claim(read(input, whole.bytesRead - 1).kind === 'incomplete', 'a header ends with its last byte')
  }
  if (whole.kind === 'incomplete') {
    const most = input[0] === 0x50 ? 107 : 16 + V2_LENGTH_MAX
    claim(whole.bytesNeeded > length && whole.bytesNeeded <= most, 'what is asked for is within bounds')
  }
  const cut = random.below(length + 1)
  const part = read(input, cut)
  if (part.kind === 'incomplete') {
    const sooner = Math.min(length, part.bytesNeeded - 1)
    claim(isDeepStrictEqual(read(input, sooner), part), 'fewer bytes than asked for say nothing new')
  } else {
    claim(isDeepStrictEqual(part, whole), 'what is decided stays decided')
  }
  checkDatagram(input, whole, claim)
}

function checkDatagram(input: Buffer, whole: ProxyHeader, claim: (holds: boolean, what: string) => void): void {
  const datagram = readProxyDatagram(input, 0, input.length, limits)
  if (whole.kind === 'incomplete' || whole.kind === 'malformed') {
    claim(datagram.kind === 'malformed', 'a datagram is refused where a stream is not accepted')
  } else {
    claim(whole.version === 1 || isDeepStrictEqual(datagram, whole), 'a datagram is read like a stream')
    claim(whole.version === 2 || datagram.kind === 'malformed', 'version 1 is refused in a datagram')
  }
}

test(`${RUN_COUNT} random and damaged inputs are read as the specification says, whole or in parts`, (t) => {
  t.diagnostic(`TRUEPEER_FUZZ_SEED=${SEED}`)
  const random = new RandomHeaders(SEED)
  const seen = new Map<string, number>()
  for (let run = 0; run < RUN_COUNT; run++) {
    const input = random.input()
    try {
      checkInput(input, random)
    } catch (error) {
      throw new Error(`Run ${run} of seed ${SEED} failed`, { cause: error })
    }
    const header = read(input, input.length)
    const outcome = header.kind === 'malformed' ? header.reason : header.kind
    seen.set(outcome, (seen.get(outcome) ?? 0) + 1)
  }
  t.diagnostic(JSON.stringify(Object.fromEntries([...seen].sort())))
})

test(`a valid header is never refused however little of it is there`, (t) => {
  t.diagnostic(`TRUEPEER_FUZZ_SEED=${SEED}`)
  const random = new RandomHeaders(SEED)
  for (let run = 0; run < RUN_COUNT / 20; run++) {
    const header = random.header()
    for (let length = 0; length < header.length; length++) {
      if (read(header, length).kind !== 'incomplete') assert.fail(`${length} bytes of ${header.toString('hex')}`)
    }
    const whole = read(header, header.length)
    if (!('bytesRead' in whole) || whole.bytesRead !== header.length) assert.fail(header.toString('hex'))
  }
})
