import { createServer } from 'node:http'
import { listenOn } from '../../telemetry/listen.ts'
import { shortened } from '../../text/plain-text.ts'
import { findHost } from './find-host.ts'
import type { LabEntrance, LabHost, LabStatus } from './lab-status.ts'

/** The control socket, in the directory of a lab. */
export const CONTROL_SOCKET = 'control.sock'
const HOSTS = '/hosts/'
const HOST = /^\/hosts\/([a-z0-9-]{1,63})(?:\?zone=([a-z0-9-]{1,63}))?$/
const PATH_LENGTH_MAX = 200

/** What a lab is asked. */
export type ControlSource = {
  status(): LabStatus
  /** How to enter a host; undefined: it does not run. */
  entrance(host: LabHost): LabEntrance | undefined
}

/** Answers at the control socket, which is for the lab's owner. */
export async function startControl(path: string, source: ControlSource): Promise<void> {
  const server = createServer((request, response) => {
    const { status, body } = answerOf(request.method === 'GET' ? (request.url ?? '') : '', source)
    response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`)
  })
  await listenOn(server, { kind: 'unix', path }, 'The lab', 'kept')
}

/** The path under which a host is asked for, an instance by its zone where its name alone does not say which. */
export function hostPath(name: string, zone: string | undefined): string {
  return `${HOSTS}${name}${zone === undefined ? '' : `?zone=${zone}`}`
}

function answerOf(path: string, source: ControlSource): { readonly status: number; readonly body: unknown } {
  if (path === '/status') return { status: 200, body: source.status() }
  const [, name, zone] = HOST.exec(path) ?? []
  const refuse = (status: number, error: string) => ({ status, body: { error } })
  if (name === undefined) return refuse(404, `There is no "${shortened(path, PATH_LENGTH_MAX)}"; ask for /status`)
  const found = findHost(source.status().hosts, name, zone)
  if (found.kind === 'none') return refuse(found.status, found.problem)
  const entrance = source.entrance(found.host)
  if (entrance !== undefined) return { status: 200, body: entrance }
  return refuse(409, `"${name}" is ${found.host.state}; it can be entered while it runs`)
}
