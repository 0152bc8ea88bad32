import { runWorker } from '../dataplane/worker-thread.ts'
import { AgentRole, type AgentRoleOptions } from './agent-role.ts'

runWorker<AgentRoleOptions>((options, context) => new AgentRole(options, context))
