import { existsSync, readFileSync } from 'node:fs'
import { cpus as cpuModels, release, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { runProgram } from '../src/linux/run.ts'
import type { Target } from './targets.ts'

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))

/** What the figures depend on: processor, kernel, distribution. */
export function describeMachine(): { [name: string]: string } {
  const models = cpuModels()
  const isVirtual = /^flags\s*:.*\bhypervisor\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'))
  const distribution = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : ''
  return {
    processor: `${models[0]?.model ?? 'unknown'}, ${models.length} logical CPUs${isVirtual ? ', a virtual machine' : ''}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: `Linux ${release()}`,
    distribution: /^PRETTY_NAME="?([^"\n]*)/m.exec(distribution)?.[1] ?? 'unknown',
  }
}

/** The version of truepeer with its commit, and that of node. */
export async function ownVersions(): Promise<{ [name: string]: string }> {
  const { version } = JSON.parse(readFileSync(`${REPOSITORY}/package.json`, 'utf8')) as { version: string }
  const described = await firstLine('git', ['-C', REPOSITORY, 'describe', '--always', '--dirty', '--exclude=*'])
  return { truepeer: described === undefined ? version : `${version} (${described})`, node: process.version }
}

/** What an installed peer says of its version, or what dpkg knows of it. */
export async function versionOf(target: Target): Promise<string> {
  if (target.versionArguments !== undefined) {
    const line = await firstLine(target.program, target.versionArguments)
    return /[0-9]+\.[0-9][^ ]*/.exec(line ?? '')?.[0] ?? 'unknown'
  }
  return (await firstLine('dpkg-query', ['-W', '-f', `\${Version}`, target.program])) ?? 'unknown'
}

async function firstLine(program: string, args: readonly string[]): Promise<string | undefined> {
  try {
    const { exitCode, stdout, stderr } = await runProgram(program, args)
    return exitCode === 0 ? `${stdout}${stderr}`.split('\n')[0].trim() : undefined
  } catch {
    // There is no such program.
    return undefined
  }
}
