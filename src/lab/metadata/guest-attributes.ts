import type { MetadataRefusal } from './metadata-request.ts'

const NAME = /^[A-Za-z0-9_.-]{1,128}$/
/** Of one value. */
export const VALUE_BYTES_MAX = 256 * 1024
/** Of all names and values of an instance. */
const BYTES_MAX = 512 * 1024

/** What an instance writes for others to read, such as the host keys of its ssh server. */
export class GuestAttributes {
  readonly #namespaces = new Map<string, Map<string, string>>()

  /** By namespace and key. */
  get all(): ReadonlyMap<string, ReadonlyMap<string, string>> {
    return this.#namespaces
  }

  /** Sets the value at `NAMESPACE/KEY`. @returns why not */
  put(path: readonly string[], value: string): MetadataRefusal | undefined {
    const [namespace = '', key = ''] = path
    if (path.length !== 2 || !NAME.test(namespace) || !NAME.test(key))
      return { status: 400, message: 'The path is not NAMESPACE/KEY, each of at most 128 letters, digits and "_.-"' }
    const before = this.#namespaces.get(namespace)?.get(key) ?? ''
    if (this.#bytes() - Buffer.byteLength(before) + Buffer.byteLength(namespace + key + value) > BYTES_MAX)
      return { status: 413, message: `All guest attributes together have at most ${BYTES_MAX} bytes` }
    const keys = this.#namespaces.get(namespace) ?? new Map<string, string>()
    this.#namespaces.set(namespace, keys.set(key, value))
    return undefined
  }

  /** Takes away what is at `NAMESPACE/KEY`, or a namespace. @returns whether there was anything */
  delete([namespace = '', ...key]: readonly string[]): boolean {
    if (key.length === 0) return this.#namespaces.delete(namespace)
    const keys = this.#namespaces.get(namespace)
    if (keys === undefined || key.length !== 1 || !keys.delete(key[0])) return false
    if (keys.size === 0) this.#namespaces.delete(namespace)
    return true
  }

  #bytes(): number {
    let count = 0
    for (const [namespace, keys] of this.#namespaces)
      for (const [key, value] of keys) count += Buffer.byteLength(namespace + key + value)
    return count
  }
}
