import { formatProblem, type Problem } from '../../compute/problem.ts'
import { messageOf } from '../../text/error-message.ts'

/**
 * What the operator has written is wrong; the message has a line for each problem.
 *
 * Where it is right and this host does not let the edge do as it says, another error tells, in a line for each obstacle.
 */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'))
    this.problems = problems
  }
}

/** The lines of an error of any kind. */
export function linesOf(error: unknown): readonly string[] {
  return messageOf(error).split('\n')
}
