import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { readGuide } from './guide-page.ts'
import { answerLines, type Readers, restCalls } from './rest-calls.ts'

const PAGE = readFileSync(new URL('../../../../docs/guide/README.md', import.meta.url), 'utf8')
const READERS: Readers = {
  resource: async () => ({ fingerprint: 'abc=', backends: [{ group: 'zones/z/instanceGroups/first' }] }),
  file: (path) => `PEM of ${path}`,
}

const calls = (command: string) => restCalls(command.split(' '), READERS)

test('every gcloud command of the guide has its calls, but for a login', async () => {
  const texts = readGuide(PAGE).flatMap(({ steps }) => steps.flatMap((step) => ('text' in step ? [step.text] : [])))
  const commands = texts.flatMap((text) =>
    [...text.matchAll(/gcloud compute ([^|\n;]+)/g)].map(([, words]) => words.trim()),
  )
  assert.ok(commands.length > 30)
  for (const command of commands.filter((words) => !words.startsWith('ssh '))) {
    const found = await calls(command)
    assert.ok(found.length > 0 && found.every(({ path }) => !/undefined|\/\//.test(path)), command)
  }
})

test('a command becomes the call that gcloud makes of it', async () => {
  assert.deepEqual(await calls('instance-groups set-named-ports my-group --named-ports tcp110:110 --zone z'), [
    {
      method: 'POST',
      path: 'zones/z/instanceGroups/my-group/setNamedPorts',
      body: { namedPorts: [{ name: 'tcp110', port: 110 }] },
    },
  ])
  assert.deepEqual(
    await calls(
      'backend-services add-backend my-lb --global --instance-group g --instance-group-zone z --balancing-mode UTILIZATION --max-utilization 0.8',
    ),
    [
      {
        method: 'PATCH',
        path: 'global/backendServices/my-lb',
        body: {
          fingerprint: 'abc=',
          backends: [
            { group: 'zones/z/instanceGroups/first' },
            { group: 'zones/z/instanceGroups/g', balancingMode: 'UTILIZATION', maxUtilization: 0.8 },
          ],
        },
      },
    ],
  )
  const [{ body }] = await calls('instances create vm --tags a,b --metadata=startup-script-url=gs://b/o?x=1 --zone z')
  assert.deepEqual(body?.['metadata'], { items: [{ key: 'startup-script-url', value: 'gs://b/o?x=1' }] })
  const [service] = await calls('backend-services create my-lb --global --protocol TCP --health-checks hc --timeout 5m')
  assert.equal(service.body?.['timeoutSec'], 300)
})

test('another command is refused', async () => {
  await assert.rejects(calls('networks create n'), /"gcloud compute networks create n" is not a command of the guide/)
})

test('an answer is printed field by field', () => {
  const answer = { kind: 'k', healthStatus: [{ healthState: 'HEALTHY', port: 110 }], tags: ['a'] }
  const lines = ['kind: k', 'healthStatus:', '  -', '    healthState: HEALTHY', '    port: 110', 'tags:', '  - a']
  assert.deepEqual(answerLines(answer), lines)
})
