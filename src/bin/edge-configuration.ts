import type { EdgeCommand } from '../cli/edge.ts'
import { formatProblem, type Problem } from '../compute/problem.ts'
import { type ReadResources, readResources } from '../compute/read-resources.ts'
import { EdgeError } from '../edge/edge-error.ts'
import { readTextFile } from '../linux/text-file.ts'
import { compile } from '../snapshot/compile.ts'
import type { Snapshot } from '../snapshot/snapshot.ts'

/** Reads and compiles the configuration of an edge as it is now. @throws EdgeError with everything that is wrong */
export function readSnapshot(configuration: EdgeCommand['configuration']): Snapshot {
  const { resources, problems } = readAll(configuration)
  const compiled = compile(resources, problems)
  if ('snapshot' in compiled) return compiled.snapshot
  throw new EdgeError('configuration', compiled.problems.map(formatProblem))
}

/** The line that `--check` prints about a configuration that is right. @throws EdgeError as {@link readSnapshot} */
export function describeConfiguration(configuration: EdgeCommand['configuration']): string {
  const { frontends, services } = readSnapshot(configuration)
  const backends = services.flatMap(({ groups }) => groups.flatMap((group) => group.backends))
  const name = configuration.kind === 'files' ? configuration.paths.join(', ') : 'command line'
  return `${name}: ${counted(frontends.length, 'frontend')}, ${counted(backends.length, 'backend')}: ok`
}

function readAll(configuration: EdgeCommand['configuration']): ReadResources {
  if (configuration.kind === 'resources') return { resources: configuration.resources, problems: [] }
  const files = configuration.paths.map(readFile)
  return {
    resources: files.flatMap(({ resources }) => resources),
    problems: files.flatMap(({ problems }) => problems),
  }
}

function readFile(path: string): ReadResources {
  try {
    return readResources(readTextFile(path), path)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const problem: Problem = {
      source: path,
      resource: '',
      path: '',
      code: 'notFound',
      rule: `the file cannot be read (${reason})`,
      remedy: 'give a readable file',
    }
    return { resources: [], problems: [problem] }
  }
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
