import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AgentStatus } from '../telemetry/agent-status.ts'
import { formatAgentStatus, isAgentStatus } from './agent-status.ts'

const CONNECTIONS = { open: 2, accepted: 9, ended: { finished: 7 } }
const PORT = { listen: '10.0.0.1:53', target4: '127.0.0.1:53', target6: 'none', trusted: null, isOpen: true }
const STATUS: AgentStatus = {
  listeners: [
    { ...PORT, protocol: 'tcp' },
    { ...PORT, protocol: 'udp' },
  ],
  connections: CONNECTIONS,
  flows: { open: 3, opened: 5, ended: { idle: 2 }, dropped: { 'header-missing': 4 } },
}

test('ports, connections and flows of an agent are shown', () => {
  assert.ok(isAgentStatus(STATUS))
  assert.equal(
    formatAgentStatus(STATUS),
    `Connections: 2 open, 9 accepted
Flows: 3 open, 5 opened

LISTEN       PROTOCOL  IPV4 TARGET   IPV6 TARGET  PORT  TRUSTED EDGES
10.0.0.1:53  tcp       127.0.0.1:53  none         open  everyone
10.0.0.1:53  udp       127.0.0.1:53  none         open  everyone

END       CONNECTIONS
finished            7

END   FLOWS
idle      2

DROPPED         DATAGRAMS
header-missing          4
`,
  )
})

test('an agent without UDP has no flows, also an older one that knows of none', () => {
  const older = { listeners: [PORT], connections: CONNECTIONS }
  assert.ok(isAgentStatus(older))
  assert.doesNotMatch(formatAgentStatus(older), /FLOWS|Flows/)
})
