import { messageOf } from '../../text/error-message.ts'
/**
 * Why an edge cannot start, or cannot do as its new configuration says: everything that is wrong, a line each.
 *
 * `configuration`: what the operator has written is wrong. `host`: it is right, and this host does not let it.
 */
export class EdgeError extends Error {
  override readonly name = 'EdgeError'
  readonly kind: 'configuration' | 'host'
  readonly problems: readonly string[]

  constructor(kind: 'configuration' | 'host', problems: readonly string[]) {
    super(problems.join('\n'))
    this.kind = kind
    this.problems = problems
  }
}

/** The lines of an error of any kind. */
export function problemsOf(error: unknown): readonly string[] {
  if (error instanceof EdgeError) return error.problems
  return [messageOf(error)]
}
