import { createServer } from 'node:http'
import { listenOn } from '../../telemetry/listen.ts'
import type { LabEntrance, LabStatus } from './lab-status.ts'

/** The control socket, in the directory of a lab. */
export const CONTROL_SOCKET = 'control.sock'
const HOSTS = '/hosts/'
const HOST = /^\/hosts\/([a-z0-9-]+)$/

/** What a lab is asked. */
export type ControlSource = {
  status(): LabStatus
  /** How to enter a host; undefined: there is none of this name that runs. */
  entrance(host: string): LabEntrance | undefined
}

/** Answers at the control socket, which is for the lab's owner. */
export async function startControl(path: string, source: ControlSource): Promise<void> {
  const server = createServer((request, response) => {
    const { status, body } = answerOf(request.method === 'GET' ? (request.url ?? '') : '', source)
    response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`)
  })
  await listenOn(server, { kind: 'unix', path }, 'The lab', 'kept')
}

/** The path under which a host is asked for. */
export function hostPath(name: string): string {
  return `${HOSTS}${name}`
}

function answerOf(path: string, source: ControlSource): { readonly status: number; readonly body: unknown } {
  if (path === '/status') return { status: 200, body: source.status() }
  const [, name] = HOST.exec(path) ?? []
  if (name === undefined) return { status: 404, body: { error: `There is no "${path}"; ask for /status` } }
  const entrance = source.entrance(name)
  if (entrance !== undefined) return { status: 200, body: entrance }
  const { hosts } = source.status()
  const host = hosts.find((one) => one.name === name)
  if (host !== undefined)
    return { status: 409, body: { error: `"${name}" is ${host.state}; it can be entered while it runs` } }
  const names = hosts.map((one) => one.name).join(', ')
  return { status: 404, body: { error: `There is no host "${name}"; there are ${names}` } }
}
