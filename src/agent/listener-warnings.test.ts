import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseAgentConfig } from '../cli/agent-config.ts'
import { describeAgent } from './describe-agent.ts'

/** The warnings about some listeners, each in the form of the file. */
function warningsOf(...listeners: readonly string[]): readonly string[] {
  const { listeners: parsed } = parseAgentConfig(`listeners: [${listeners.join(', ')}]`, 'agent.yaml')
  return describeAgent(parsed)
    .split('\n')
    .filter((line) => line.startsWith('warning: '))
}

const APP = 'target4: "127.0.0.1:112", target6: "[::1]:112"'

test('a listener in front of an app is not warned of', () => {
  assert.deepEqual(warningsOf(`{listen: "10.0.0.1:110", ${APP}, allowedSubnets: [35.191.0.0/16]}`), [])
})

for (const [what, listeners, warning] of [
  [
    'a list that is everybody',
    [`{listen: "10.0.0.1:110", ${APP}, allowedSubnets: [35.191.0.0/16, "::/0"]}`],
    /"::\/0" of "10\.0\.0\.1:110" is every address/,
  ],
  ['its own port', [`{listen: "127.0.0.1:112", ${APP}, allowAllSubnets: true}`], /is the agent itself/],
  [
    'the port of another listener',
    [`{listen: "127.0.0.1:112", allowAllSubnets: true}`, `{listen: "10.0.0.1:110", ${APP}, allowAllSubnets: true}`],
    /"127\.0\.0\.1:112" of "10\.0\.0\.1:110" is the agent itself/,
  ],
] as const) {
  test(`${what} as the target, or whom to trust, is a warning`, () => {
    const warnings = warningsOf(...listeners)
    assert.equal(warnings.length, 1, warnings.join('\n'))
    assert.match(warnings[0], warning)
  })
}
