import type { Host } from '../../src/lab/host.ts'

/** Runs a shell command on a host; throws when it fails. */
export async function shell(host: Host, command: string): Promise<string> {
  const { exitCode, stdout, stderr } = await host.run('sh', ['-c', command])
  if (exitCode !== 0) throw new Error(`"${command}" failed (${exitCode}): ${stderr}`)
  return stdout
}
