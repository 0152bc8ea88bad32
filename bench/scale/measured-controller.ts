import { join } from 'node:path'
import { Program } from '../../src/lab/program.ts'
import { askHttp } from './ask.ts'
import { FRONTEND_ADDRESS, GROUPS_PATH, groupEndpoints, groupName, resources } from './configuration.ts'
import { knownFlags } from './known-flags.ts'
import type { Scale } from './options.ts'

const PROJECT = '/compute/v1/projects/truepeer'
const START_MS_MAX = 60_000
/** As many as one call takes. */
const ENDPOINTS_MAX = 500

/** `truepeer controller` of a checkout, with all resources in it. */
export class MeasuredController {
  readonly socketPath: string
  readonly #program: Program

  private constructor(program: Program, socketPath: string) {
    this.#program = program
    this.socketPath = socketPath
  }

  /** Starts it in a folder of its own and inserts the resources. */
  static async start(checkout: string, folder: string, scale: Scale): Promise<MeasuredController> {
    const socketPath = join(folder, 'controller.sock')
    const where = ['--data', join(folder, 'data'), '--unix', socketPath, '--addresses', FRONTEND_ADDRESS]
    const flags = await knownFlags(checkout, 'controller', ['--create', '--allow-local-backends'])
    const program = new Program(join(checkout, 'bin/truepeer'), ['controller', ...flags, ...where])
    const controller = new MeasuredController(program, socketPath)
    try {
      await program.waitForLine(/"msg":"listening"/, { timeoutMs: START_MS_MAX })
      await controller.#insert(scale)
      return controller
    } catch (error) {
      await controller.stop()
      throw error
    }
  }

  async #insert(scale: Scale): Promise<void> {
    const groups = groupEndpoints(scale)
    for (const { path, body } of resources(scale)) {
      await this.change('POST', path, body)
      if (path !== GROUPS_PATH) continue
      const endpoints = groups.find((_, index) => groupName(index) === body.name) ?? []
      for (let at = 0; at < endpoints.length; at += ENDPOINTS_MAX) {
        const networkEndpoints = endpoints.slice(at, at + ENDPOINTS_MAX)
        await this.change('POST', `${path}/${body.name}/attachNetworkEndpoints`, { networkEndpoints })
      }
    }
  }

  /** Sends a change. @throws Error when it is refused */
  async change(method: string, path: string, body: unknown): Promise<void> {
    const answer = await askHttp(this.socketPath, method, `${PROJECT}/${path}`, body)
    const operation = JSON.parse(answer.body) as { readonly status?: string; readonly error?: unknown }
    if (answer.status === 200 && operation.error === undefined) return
    throw new Error(`${method} ${path}: ${answer.status} ${answer.body.slice(0, 300)}`)
  }

  /** Ends it. */
  async stop(): Promise<void> {
    if (this.#program.isRunning) await this.#program.stop()
  }
}
