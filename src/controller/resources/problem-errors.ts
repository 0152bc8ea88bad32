import { isMapping, type Mapping } from '../../compute/json-value.ts'
import { type Problem, quoted } from '../../compute/problem.ts'
import { ApiError, type ErrorDetail, invalidFieldMessage } from '../model/api-error.ts'

/** Google's words for what a name looks like. */
const NAME_RULE = "Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'"
/** Problems that one error lists. */
const DETAILS_MAX = 20
const SECRET_FIELDS = /(privateKey|certificate)$/

/** Makes an error of what a check found; `body` is what was checked, for the values that messages show. */
export function errorOfProblems(problems: readonly Problem[], body: unknown): ApiError {
  const isAbsent = problems.every(({ code }) => code === 'notFound')
  // gcloud shows only the first: what can be done about is said after what cannot.
  const ordered = problems.toSorted((a, b) => Number(b.code === 'unsupported') - Number(a.code === 'unsupported'))
  const details = ordered.slice(0, DETAILS_MAX).map((problem) => detailOf(problem, body))
  return new ApiError(isAbsent ? 404 : 400, ...details)
}

function detailOf({ path, code, rule, remedy }: Problem, body: unknown): ErrorDetail {
  const field = path === '' ? 'resource' : `resource.${path}`
  switch (code) {
    case 'required':
      return { message: `Required field '${field}' not specified: ${rule}; ${remedy}`, reason: 'required' }
    case 'unknownField':
      return { message: unknownFieldMessage(path, remedy), reason: 'invalid' }
    case 'notFound':
      return { message: `${invalidFieldMessage(field, valueText(body, path), rule)}; ${remedy}`, reason: 'notFound' }
    default: {
      const sentence = path === 'name' && code === 'invalid' ? NAME_RULE : `${rule}; ${remedy}`
      return { message: invalidFieldMessage(field, valueText(body, path), sentence), reason: 'invalid' }
    }
  }
}

function unknownFieldMessage(path: string, remedy: string): string {
  const { parent, name } = splitPath(path)
  const at = parent === '' ? 'resource' : `resource.${parent}`
  return `Invalid JSON payload received. Unknown name "${name}" at '${at}': Cannot find field. To fix it: ${remedy}`
}

/** `backends[0].x` is `x` at `backends[0]`; the name may be quoted: `labels["a b"]`. */
function splitPath(path: string): { readonly parent: string; readonly name: string } {
  const quotedName = /^(.*)\["(.*)"\]$/s.exec(path)
  if (quotedName !== null) return { parent: quotedName[1] ?? '', name: quotedName[2] ?? '' }
  const dot = path.lastIndexOf('.')
  return { parent: path.slice(0, Math.max(dot, 0)), name: path.slice(dot + 1) }
}

/** The value at a path of plain names and indexes, shortened; empty for what may be a secret, or hold one. */
function valueText(body: unknown, path: string): string {
  if (SECRET_FIELDS.test(path)) return ''
  let value = body
  for (const step of path.match(/[^.[\]]+/g) ?? []) {
    if (Array.isArray(value)) value = value[Number(step)]
    else value = isMapping(value) && Object.hasOwn(value, step) ? (value as Mapping)[step] : undefined
  }
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object')) value = value.join(', ')
  if (value === undefined || typeof value === 'object') return ''
  return quoted(value).replace(/^"|"$/g, '')
}
