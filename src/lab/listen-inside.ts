import { once } from 'node:events'
import type { Server } from 'node:net'
import { Worker } from 'node:worker_threads'

/** What a thread is to open, and where. */
export type BindTask = { readonly namespacePath: string; readonly endpoints: readonly string[] }

/** What it has opened, in the same order, or why not. */
export type BindAnswer = { readonly fds: readonly number[] } | { readonly problem: string }

/**
 * Has servers of any kind listen inside the network namespace at `namespacePath`, each at its endpoint, such as
 * "192.0.2.1:80" or "[2001:db8::1]:80".
 *
 * A thread opens the sockets that ends there: in an ordinary user's lab, no thread comes back from a namespace to the
 * network of this machine, which is not the user's (setns(2)).
 *
 * @throws Error when an endpoint cannot be bound
 */
export async function listenInside(
  namespacePath: string,
  servers: readonly (readonly [server: Server, endpoint: string])[],
): Promise<void> {
  const task: BindTask = { namespacePath, endpoints: servers.map(([, endpoint]) => endpoint) }
  const thread = new Worker(new URL('./bind-thread.js', import.meta.url), { workerData: task })
  const [answer] = (await once(thread, 'message')) as [BindAnswer]
  if ('problem' in answer) throw new Error(answer.problem)
  for (const [index, [server]] of servers.entries()) {
    server.listen({ fd: answer.fds[index] })
    await once(server, 'listening')
  }
}
