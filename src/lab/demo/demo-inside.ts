// Run by demo.ts inside private namespaces: the chain from client to app on three hosts, without and with the agent.

import { fileURLToPath } from 'node:url'
import { messageOf } from '../../text/error-message.ts'
import { Lab } from '../lab.ts'
import { DemoChain } from './demo-chain.ts'
import { buildDemoHosts, IPV4, IPV6 } from './demo-hosts.ts'
import { type DemoResult, Transcript } from './demo-transcript.ts'

const TIME_LIMIT_MS = 55_000
const LOG_LINES = 20
const CHECKOUT = fileURLToPath(new URL('../../../../', import.meta.url))

const INTRODUCTION = `An unmodified app, and the address that it sees as its peer.

  client             edge, a TCP proxy                     backend
  209.52.88.4     -> 203.0.113.10     | 35.191.0.9      -> 10.128.0.2
  2001:db8:209::4 -> 2001:db8:203::10 | 2001:db8:35::9  -> 2001:db8:10::2

Each host is a network namespace that ends with this demo; nothing of this machine is changed.
Lines with "host$" are the commands; on real hosts you can type the same ones (as root on edge and backend).`

async function runDemo(transcript: Transcript): Promise<boolean> {
  transcript.say(INTRODUCTION)
  const lab = new Lab()
  let chain: DemoChain | undefined
  try {
    chain = new DemoChain(await buildDemoHosts(lab), transcript, CHECKOUT)
    const results: DemoResult[] = []
    transcript.heading('1. IPv4 without the agent: the app itself listens on 10.128.0.2, port 110')
    await chain.writeApp()
    results.push(await chain.runWithoutAgent(IPV4))
    transcript.heading('2. IPv4 with the agent: the agent listens there now, and the app on 127.0.0.1, port 112')
    await chain.allowSubnets()
    results.push(await chain.runWithAgent(IPV4))
    transcript.heading('3. IPv6 without the agent')
    results.push(await chain.runWithoutAgent(IPV6))
    transcript.heading('4. IPv6 with the agent')
    results.push(await chain.runWithAgent(IPV6))
    transcript.results(results)
    const isAsExpected = results.every(({ peer, expected }) => peer === expected)
    if (!isAsExpected) showOutput(transcript, chain)
    return isAsExpected
  } catch (error) {
    // The lines after the first are what a program wrote, and follow below.
    transcript.failure(messageOf(error).split('\n')[0])
    if (chain !== undefined) showOutput(transcript, chain)
    return false
  } finally {
    await lab.close()
  }
}

function showOutput(transcript: Transcript, chain: DemoChain): void {
  for (const { name, program } of chain.programs) {
    transcript.heading(`Last lines of "${name}"${program.isRunning ? '' : ', which has ended'}`)
    transcript.output('', program.texts(-LOG_LINES))
  }
}

// hasColors() knows NO_COLOR and terminals without colours.
const transcript = new Transcript(
  (text) => process.stdout.write(text),
  process.stdout.isTTY && process.stdout.hasColors(),
)
// When this process exits, however it does, everything in its namespaces is killed.
process.stdout.on('error', () => process.exit(1))
setTimeout(() => {
  transcript.failure(`not finished after ${TIME_LIMIT_MS / 1000} s`)
  process.exit(1)
}, TIME_LIMIT_MS).unref()
process.exitCode = (await runDemo(transcript)) ? 0 : 1
