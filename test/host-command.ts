// Runs the commands about a backend host as src/bin/truepeer.ts does, for tests of the host alone.
import { readAllowedSubnets } from '../src/agent/allowed-subnets.ts'
import { parseAgentInstall } from '../src/cli/agent-install.ts'
import { parseDoctor } from '../src/cli/doctor.ts'
import { UsageError } from '../src/cli/flags.ts'
import { parseHostSetup } from '../src/cli/host-setup.ts'
import { runAgentInstall } from '../src/host/agent-install.ts'
import { runDoctor } from '../src/host/doctor.ts'
import { runHostSetup } from '../src/host/host-setup.ts'

async function main([name, ...rest]: readonly string[]): Promise<number> {
  const print = (text: string): boolean => process.stdout.write(text)
  if (name === 'host-setup') return await runHostSetup(parseHostSetup(rest), print)
  if (name === 'doctor') return await runDoctor(parseDoctor(rest), readAllowedSubnets, print)
  if (name === 'agent' && (rest[0] === 'install' || rest[0] === 'uninstall')) {
    const installation = { program: '/opt/truepeer/bin/truepeer', node: '/usr/bin/node' }
    return runAgentInstall(parseAgentInstall(rest[0], rest.slice(1)), installation, print)
  }
  throw new UsageError(`Unknown command ${JSON.stringify(name)}`)
}

main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status
  },
  (error: unknown) => {
    process.stderr.write(`truepeer: ${error instanceof Error ? error.message : error}\n`)
    process.exitCode = error instanceof UsageError ? 2 : 1
  },
)
