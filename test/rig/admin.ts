// What the admin server and a controller answer on a UNIX socket.
import assert from 'node:assert/strict'
import { request } from 'node:http'

export type Reply = { readonly status: number; readonly body: string }

/** Asks over a UNIX socket, with a document of JSON if there is one. Rejects when nobody answers. */
export function askSocket(socketPath: string, method: string, path: string, document?: unknown): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const headers = document === undefined ? {} : { 'content-type': 'application/json' }
    // Without an agent of node's nothing stays open behind the answer: tests count descriptors.
    const asked = request({ socketPath, method, path, headers, host: 'localhost', agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        body += part
      })
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    asked.on('error', reject)
    asked.end(document === undefined ? undefined : JSON.stringify(document))
  })
}

/** The value of a metric in an exposition, by its name as it is written there: `truepeer_x_total{reason="y"}`. */
export function metricIn(exposition: string, name: string): number {
  const line = exposition.split('\n').find((candidate) => candidate.startsWith(`${name} `))
  assert.ok(line, `there is no metric ${name}`)
  return Number(line.slice(name.length))
}

/** Asserts the values of some metrics of an exposition, by their names as {@link metricIn} takes them. */
export function assertMetrics(exposition: string, expected: Readonly<Record<string, number>>): void {
  const names = Object.keys(expected)
  assert.deepEqual(Object.fromEntries(names.map((name) => [name, metricIn(exposition, name)])), expected)
}
