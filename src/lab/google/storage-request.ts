/** What is asked of the storage, by one of Google's two APIs for it. */
export type StorageRequest = StorageRead | StorageWrite | StorageRefusal

type InForm = { readonly form: StorageForm }
type OfBucket = { readonly bucket: string }
type OfObject = OfBucket & { readonly object: string }

/** What only looks. */
export type StorageRead =
  /** The names of all buckets. */
  | { readonly kind: 'buckets'; readonly form: 'json' }
  /** The bytes of an object. */
  | ({ readonly kind: 'media' } & InForm & OfObject)
  /** What is known of an object. */
  | ({ readonly kind: 'object'; readonly form: 'json' } & OfObject)
  | ({ readonly kind: 'list'; readonly form: 'json'; readonly prefix: string; readonly delimiter: string } & OfBucket)
  | ({ readonly kind: 'bucket' } & InForm & OfBucket)
  /** Whether the bucket has folders that are more than names, which gcloud asks before it moves or removes. */
  | ({ readonly kind: 'layout'; readonly form: 'json' } & OfBucket)
  | ({ readonly kind: 'managed-folders'; readonly form: 'json' } & OfBucket)

/** What changes something. */
export type StorageWrite =
  | { readonly kind: 'make-bucket'; readonly form: 'json' }
  | ({ readonly kind: 'delete-bucket' } & InForm & OfBucket)
  /** `object`: undefined where the metadata that are sent name it. */
  | ({ readonly kind: 'upload'; readonly how: UploadKind; readonly object: string | undefined } & InForm & OfBucket)
  /** More of a resumable upload. */
  | ({ readonly kind: 'continue'; readonly form: 'json'; readonly session: string } & OfBucket)
  | ({ readonly kind: 'cancel'; readonly form: 'json'; readonly session: string } & OfBucket)
  | ({ readonly kind: 'describe'; readonly form: 'json' } & OfObject)
  /** Google has two methods, which answer differently. */
  | ({
      readonly kind: 'copy' | 'rewrite'
      readonly form: 'json'
      readonly to: OfObject
    } & OfObject)
  | ({ readonly kind: 'delete' } & InForm & OfObject)

/** The bytes alone, behind metadata, or in requests that follow. */
export type UploadKind = 'media' | 'multipart' | 'resumable'

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
  /^(\/(?:resumable\/)?upload|\/download)?\/storage\/v1\/b(?:\/([^/]+)(\/o(?:\/([^/]+)(?:\/(copyTo|rewriteTo)\/b\/([^/]+)\/o\/([^/]+))?)?)?)?\/?$/
const FOLDERS_PATH = /^\/storage\/v1\/b\/([^/]+)\/(storageLayout|managedFolders)$/
const KINDS: readonly string[] = ['media', 'multipart', 'resumable'] satisfies readonly UploadKind[]

/** Reads a request. */
export function readStorageRequest(method: string, url: string): StorageRequest {
  const [path, query = ''] = url.split('?', 2)
  const isJson = /^\/(?:[a-z/]+\/)?storage\/v1\//.test(path) || JSON_PATH.test(path)
  return isJson ? readJson(method, path, new URLSearchParams(query)) : readXml(method, path)
}

function readJson(method: string, path: string, parameters: URLSearchParams): StorageRequest {
  const form = 'json'
  const [, folders, what] = FOLDERS_PATH.exec(path) ?? []
  const [ofFolders] = decoded([folders]) ?? []
  if (ofFolders !== undefined && method === 'GET')
    return { kind: what === 'storageLayout' ? 'layout' : 'managed-folders', form, bucket: ofFolders }
  const match = JSON_PATH.exec(path)
  const names = match === null ? undefined : decoded([match[2], match[4], match[6], match[7]])
  if (match === null || names === undefined) return notServed(form, method, path)
  const [, prefix = '', , objects, , action] = match
  const [bucket, object, toBucket, toObject] = names
  const isUpload = prefix.endsWith('upload')
  if (bucket === undefined) {
    if (method === 'GET') return { kind: 'buckets', form }
    return method === 'POST' ? { kind: 'make-bucket', form } : notServed(form, method, path)
  }
  if (isUpload && objects !== undefined) return readUpload(method, path, bucket, parameters)
  if (object === undefined) {
    if (method === 'DELETE' && objects === undefined) return { kind: 'delete-bucket', form, bucket }
    if (!isRead(method)) return notServed(form, method, path)
    if (objects === undefined) return { kind: 'bucket', form, bucket }
    const [start, delimiter] = ['prefix', 'delimiter'].map((name) => parameters.get(name) ?? '')
    return { kind: 'list', form, bucket, prefix: start, delimiter }
  }
  if (toBucket !== undefined && toObject !== undefined) {
    if (method !== 'POST') return notServed(form, method, path)
    const kind = action === 'copyTo' ? 'copy' : 'rewrite'
    return { kind, form, bucket, object, to: { bucket: toBucket, object: toObject } }
  }
  if (method === 'DELETE') return { kind: 'delete', form, bucket, object }
  if (method === 'PATCH' || method === 'PUT') return { kind: 'describe', form, bucket, object }
  if (!isRead(method)) return notServed(form, method, path)
  return { kind: parameters.get('alt') === 'media' ? 'media' : 'object', form, bucket, object }
}

function readUpload(method: string, path: string, bucket: string, parameters: URLSearchParams): StorageRequest {
  const form = 'json'
  const session = parameters.get('upload_id')
  if (session !== null) {
    if (method === 'DELETE') return { kind: 'cancel', form, bucket, session }
    return method === 'PUT' || method === 'POST'
      ? { kind: 'continue', form, bucket, session }
      : notServed(form, method, path)
  }
  const how = parameters.get('uploadType') ?? ''
  if (method !== 'POST' || !isUploadKind(how)) return notServed(form, method, path)
  return { kind: 'upload', form, how, bucket, object: parameters.get('name') ?? undefined }
}

function readXml(method: string, path: string): StorageRequest {
  const form = 'xml'
  const [, first = '', ...rest] = path.split('/')
  const names = decoded([first, rest.join('/')].map((name) => (name === '' ? undefined : name)))
  if (names === undefined) return refused(form, 400, 'InvalidURI', 'The URL is not valid')
  const [bucket, object] = names
  if (bucket === undefined) return refused(form, 400, 'InvalidRequest', 'Buckets are listed by the JSON API only')
  if (object === undefined) return isRead(method) ? { kind: 'bucket', form, bucket } : notServed(form, method, path)
  if (method === 'PUT') return { kind: 'upload', form, how: 'media', bucket, object }
  if (method === 'DELETE') return { kind: 'delete', form, bucket, object }
  return isRead(method) ? { kind: 'media', form, bucket, object } : notServed(form, method, path)
}

function notServed(form: StorageForm, method: string, path: string): StorageRefusal {
  return refused(form, 501, 'NotImplemented', `The storage of the lab has no ${method} for "${path}"`)
}

function refused(form: StorageForm, status: number, code: string, message: string): StorageRefusal {
  return { kind: 'refused', form, status, code, message }
}

function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}

function isUploadKind(how: string): how is UploadKind {
  return KINDS.includes(how)
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

function decoded(names: readonly (string | undefined)[]): readonly (string | undefined)[] | undefined {
  try {
    return names.map((name) => (name === undefined ? undefined : decodeURIComponent(name)))
  } catch {
    return undefined
  }
}
