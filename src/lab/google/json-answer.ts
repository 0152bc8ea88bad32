import type { ServerResponse } from 'node:http'

/** Answers with JSON, as Google's servers do. */
export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json; charset=UTF-8' }).end(JSON.stringify(value))
}
