/** What is asked of the storage, by one of Google's two APIs for it: reading, and nothing else. */
export type StorageRequest =
  /** The bytes of an object. */
  | { readonly kind: 'media'; readonly form: StorageForm; readonly bucket: string; readonly object: string }
  /** What is known of an object. */
  | { readonly kind: 'object'; readonly form: 'json'; readonly bucket: string; readonly object: string }
  | {
      readonly kind: 'list'
      readonly form: 'json'
      readonly bucket: string
      readonly prefix: string
      readonly delimiter: string
    }
  | { readonly kind: 'bucket'; readonly form: StorageForm; readonly bucket: string }
  | StorageRefusal

/** The form of answers: the XML API has paths `/BUCKET/OBJECT`, the JSON API `/storage/v1/b/BUCKET/o/OBJECT`. */
export type StorageForm = 'xml' | 'json'

/** Why something is not answered; the code is that of the XML API. */
export type StorageRefusal = {
  readonly kind: 'refused'
  readonly form: StorageForm
  readonly status: number
  readonly code: string
  readonly message: string
}

const JSON_PATH =
  /^\/(?:download\/|upload\/|resumable\/upload\/)?storage\/v1\/b(?:\/([^/]+)(?:\/o(?:\/([^/]+))?)?)?\/?$/

/** Reads a request. */
export function readStorageRequest(method: string, url: string): StorageRequest {
  const [path, query = ''] = url.split('?', 2)
  const json = JSON_PATH.exec(path)
  const form = json === null && !path.startsWith('/storage/v1/') ? 'xml' : 'json'
  const refused = (status: number, code: string, message: string): StorageRefusal => ({
    kind: 'refused',
    form,
    status,
    code,
    message,
  })
  if (method !== 'GET' && method !== 'HEAD')
    return refused(
      403,
      'AccessDenied',
      'Buckets of the lab are read-only for its machines; put files into its directory buckets, outside',
    )
  const names = json === null ? xmlNames(path) : decoded(json.slice(1).filter((name) => name !== undefined))
  if (names === undefined || (json === null && form === 'json'))
    return refused(400, 'InvalidURI', 'The URL is not valid')
  const [bucket, object] = names
  if (bucket === undefined) return refused(400, 'InvalidRequest', 'Buckets are not listed; name one')
  if (form === 'xml')
    return object === undefined ? { kind: 'bucket', form, bucket } : { kind: 'media', form, bucket, object }
  const parameters = new URLSearchParams(query)
  if (object !== undefined)
    return { kind: parameters.get('alt') === 'media' ? 'media' : 'object', form, bucket, object }
  if (!/\/o\/?$/.test(path)) return { kind: 'bucket', form, bucket }
  const [prefix, delimiter] = ['prefix', 'delimiter'].map((name) => parameters.get(name) ?? '')
  return { kind: 'list', form, bucket, prefix, delimiter }
}

/** Part of an object that a Range header asks for, `[start, end]`; undefined: all of it; 'none': there is no such part. */
export function rangeOf(
  header: string | undefined,
  size: number,
): { readonly start: number; readonly end: number } | 'none' | undefined {
  const [, first = '', last = ''] = /^bytes=([0-9]{0,15})-([0-9]{0,15})$/.exec(header ?? '') ?? []
  if (first === '' && last === '') return undefined
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1)
  return start > end ? 'none' : { start, end }
}

/** The bucket, and the rest of the path, slashes and all. */
function xmlNames(path: string): readonly string[] | undefined {
  const [, bucket = '', ...rest] = path.split('/')
  return decoded([bucket, rest.join('/')].filter((name) => name !== ''))
}

function decoded(names: readonly string[]): readonly string[] | undefined {
  try {
    return names.map(decodeURIComponent)
  } catch {
    return undefined
  }
}
