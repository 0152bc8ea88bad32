/** Why something of the storage is not answered. */
export class StorageError extends Error {
  override readonly name = 'StorageError'
  readonly status: number
  /** That of the XML API. */
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** There is no such bucket. */
export function noBucket(): StorageError {
  return new StorageError(404, 'NoSuchBucket', 'The specified bucket does not exist.')
}

/** There is no such object. */
export function noObject(message = 'The specified key does not exist.'): StorageError {
  return new StorageError(404, 'NoSuchKey', message)
}
