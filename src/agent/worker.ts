import { runWorker } from '../dataplane/worker/worker-thread.ts'
import { AgentRole, type AgentRoleOptions } from './agent-role.ts'
import { warmUpAgent } from './warm-up-agent.ts'

runWorker<AgentRoleOptions>({
  make: (options, context) => new AgentRole(options, context),
  warmUp: warmUpAgent,
})
