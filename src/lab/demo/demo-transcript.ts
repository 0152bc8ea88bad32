/** What one run of the demo found: the address that the app logged as its peer, and the one it should have. */
export type DemoResult = { readonly run: string; readonly peer: string; readonly expected: string }

const RUN_WIDTH = 22
const ADDRESS_WIDTH = 18

/** Writes the demo's account of what was typed on which host and what came of it. */
export class Transcript {
  readonly #write: (text: string) => void
  readonly #isColoured: boolean

  constructor(write: (text: string) => void, isColoured: boolean) {
    this.#write = write
    this.#isColoured = isColoured
  }

  #styled(text: string, ...codes: readonly number[]): string {
    return this.#isColoured ? `\x1b[${codes.join(';')}m${text}\x1b[0m` : text
  }

  #line(text = ''): void {
    this.#write(`${text}\n`)
  }

  /** A line in the demo's own words. */
  say(text: string): void {
    this.#line(text)
  }

  heading(text: string): void {
    this.#line()
    this.#line(this.#styled(text, 1))
  }

  /** A command as it is typed on `hostName`; a continued line is indented. */
  command(hostName: string, commandLine: string): void {
    const [first, ...continued] = commandLine.split('\n')
    this.#line(`${this.#styled(`${hostName}$`, 36)} ${first}`)
    for (const line of continued) this.#line(`${' '.repeat(hostName.length + 2)}${line}`)
  }

  /** What a program wrote, line by line and unchanged. */
  output(label: string, lines: readonly string[]): void {
    for (const line of lines) this.#line(`${this.#styled(`${label} |`, 2)} ${line}`)
  }

  /** All results in one table; `isOk` is said in words as well as in colour. */
  results(results: readonly DemoResult[]): void {
    const row = (run: string, peer: string, expected: string) =>
      `${run.padEnd(RUN_WIDTH)}${peer.padEnd(ADDRESS_WIDTH)}${expected.padEnd(ADDRESS_WIDTH)}`
    this.heading(row('run', "the app's peer", 'expected').trimEnd())
    for (const { run, peer, expected } of results) {
      const verdict = peer === expected ? this.#styled('ok', 32) : this.#styled('WRONG', 1, 31)
      this.#line(row(run, peer, expected) + verdict)
    }
  }

  failure(text: string): void {
    this.#line()
    this.#line(`${this.#styled('The demo failed:', 1, 31)} ${text}`)
  }
}
