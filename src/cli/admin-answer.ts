import type { Shape } from '../snapshot/shape.ts'

/**
 * Reads what an admin server answers.
 *
 * @param hasForm holds for an `Answer` of this version
 * @throws Error when it does not
 */
export function readAdminAnswer<Answer>(body: string, hasForm: Shape): Answer {
  let answer: unknown
  try {
    answer = JSON.parse(body)
  } catch {
    // Not even JSON: the same message says what to do.
  }
  if (hasForm(answer)) return answer as Answer
  throw new Error('The answer is not one of an edge or agent of this version; compare "truepeer --version" of both')
}
