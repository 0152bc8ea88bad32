/** How many use a thing that is closed once it is retired and nobody uses it any more. */
export class Uses {
  readonly #close: () => void
  #count = 0
  #isRetired = false

  /** @param close lets go of what the thing holds; called once */
  constructor(close: () => void) {
    this.#close = close
  }

  get isRetired(): boolean {
    return this.#isRetired
  }

  /** Keeps the thing open until the {@link release} that belongs to this call. */
  acquire(): void {
    this.#count += 1
  }

  release(): void {
    this.#count -= 1
    if (this.#isRetired && this.#count === 0) this.#close()
  }

  /** Another thing has taken its place: nobody begins to use it any more. */
  retire(): void {
    if (this.#isRetired) return
    this.#isRetired = true
    if (this.#count === 0) this.#close()
  }
}
