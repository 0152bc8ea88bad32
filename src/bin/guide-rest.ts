// In the place of gcloud on a host of the lab, where the machine has none: the same calls of the API, for the guide.

import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { answerLines, type RestCall, restCalls } from '../lab/guide/rest-calls.ts'
import { messageOf } from '../text/error-message.ts'

const SOCKET = '/run/truepeer/controller.sock'
const PROJECT = '/compute/v1/projects/truepeer/'
const BODY_SHOWN = 200

type Answer = Readonly<Record<string, unknown>> & {
  readonly error?: { readonly message?: string; readonly errors?: readonly { readonly message: string }[] }
}

function send({ method, path, body }: RestCall): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { socketPath: SOCKET, method, path: PROJECT + path, headers: { 'Content-Type': 'application/json' } },
      (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part
        })
        response.on('end', () => resolve(JSON.parse(text) as Answer))
      },
    )
    sent.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body))
  })
}

/** Until the operation of a change is done. */
async function finished(answer: Answer): Promise<Answer> {
  if (answer['kind'] !== 'compute#operation' || answer['status'] === 'DONE') return answer
  const zone = /zones\/[^/]+/.exec(String(answer['zone'] ?? ''))?.[0] ?? 'global'
  return await finished(await send({ method: 'POST', path: `${zone}/operations/${answer['name']}/wait` }))
}

async function run(words: readonly string[]): Promise<void> {
  if (words[0] === 'ssh') return console.log('Only gcloud itself logs in to an instance; this step is left out.')
  const calls = await restCalls(words, {
    resource: (path) => send({ method: 'GET', path }),
    file: (path) => readFileSync(path, 'utf8'),
  })
  for (const call of calls) {
    const body = call.body === undefined ? '' : ` ${JSON.stringify(call.body)}`
    console.log(`${call.method} ${PROJECT}${call.path}${body.slice(0, BODY_SHOWN)}`)
    const answer = await finished(await send(call))
    const problem = answer.error?.message ?? answer.error?.errors?.[0].message
    if (problem !== undefined) throw new Error(`ERROR: ${problem}`)
    console.log(
      answer['kind'] === 'compute#operation' ? `${answer['operationType']} is DONE` : answerLines(answer).join('\n'),
    )
  }
}

try {
  await run(process.argv.slice(3))
} catch (error) {
  console.log(messageOf(error))
  process.exitCode = 1
}
