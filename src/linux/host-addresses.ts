import { formatIpAddress, type IpAddress, parseIpAddress } from '../address/ip-address.ts'
import { type RunResult, runChecked, runNow, runProgram } from './run.ts'

const LOOPBACK = 'lo'

/** What `ip -json address show` says of an interface; only the part that is read here. */
type ShownInterface = { readonly addr_info?: readonly { readonly local?: string }[] }

/** The addresses of all interfaces of this host, as canonical texts. @throws ProgramError */
export async function hostAddresses(): Promise<ReadonlySet<string>> {
  const interfaces = JSON.parse(await runChecked('ip', ['-json', 'address', 'show'])) as readonly ShownInterface[]
  const addresses = interfaces.flatMap(({ addr_info = [] }) =>
    addr_info.map(({ local }) => parseIpAddress(local ?? '')),
  )
  return new Set(addresses.filter((address) => address !== undefined).map(formatIpAddress))
}

/**
 * Puts addresses on the loopback interface, each for itself (/32, /128), all of them or, on an error, none.
 *
 * @throws Error with what ip(8) said, and the remedy where it was not permitted
 */
export async function addToLoopback(addresses: readonly IpAddress[]): Promise<void> {
  if (addresses.length === 0) return
  const result = await runProgram('ip', ['-batch', '-'], { input: batch('add', addresses) })
  if (result.exitCode === 0) return
  // "Command failed -:3": the lines before the third were done.
  const failedLine = Number(/^Command failed -:(\d+)/m.exec(result.stderr)?.[1] ?? 1)
  takeFromLoopback(addresses.slice(0, failedLine - 1))
  const said = firstLine(result)
  const remedy = /not permitted/i.test(said) ? '; run the edge as root or with CAP_NET_ADMIN' : ''
  throw new Error(`Addresses cannot be put on "${LOOPBACK}": ${said}${remedy}`)
}

/** Takes addresses off the loopback interface; those that are no longer there are passed over. Waits until it is done. */
export function takeFromLoopback(addresses: readonly IpAddress[]): void {
  if (addresses.length === 0) return
  runNow('ip', ['-force', '-batch', '-'], { input: batch('del', addresses) })
}

function batch(action: 'add' | 'del', addresses: readonly IpAddress[]): string {
  return addresses
    .map((address) => {
      const [length, flags] = address.family === 4 ? [32, ''] : [128, action === 'add' ? ' nodad' : '']
      return `address ${action} ${formatIpAddress(address)}/${length} dev ${LOOPBACK}${flags}\n`
    })
    .join('')
}

function firstLine({ stderr, stdout, signal, exitCode }: RunResult): string {
  return (stderr || stdout).trim().split('\n')[0] || `ip ended with ${signal ?? exitCode}`
}
