import { runWorker } from '../dataplane/worker/worker-thread.ts'
import { AgentRole } from './agent-role.ts'
import type { AgentRoleOptions } from './agent-role-options.ts'
import type { AgentService } from './agent-service.ts'

runWorker<AgentRoleOptions, AgentService>((options, context) => new AgentRole(options, context))
