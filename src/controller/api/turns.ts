/** Lets asynchronous work be done one after the other, in the order in which it came. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  /** Does the work when all that came before is done, however that went. */
  take<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => {})
    return result
  }
}
