import { list, oneOf, optional } from './schema.ts'
import { serverDefaults } from './server-defaults.ts'

const PROXY_HEADER =
  'The header that the edge sends before the first byte of a client. PROXY_V2 is an extension of this project.'
const OPTIONS = 'Extension of this project: what a PROXY_V2 header contains besides the addresses.'

const OPTION_WORDS = ['CRC32C', 'UNIQUE_ID'] as const

/** The fields of a target proxy about the PROXY header. */
export const proxyHeaderFields = {
  proxyHeader: oneOf(PROXY_HEADER, ['NONE', 'PROXY_V1', 'PROXY_V2'], {
    default: serverDefaults.targetTcpProxies.proxyHeader,
  }),
  proxyHeaderOptions: list(OPTIONS, oneOf('An option.', OPTION_WORDS), { default: [] }),
} as const

/** The same of a forwarding rule for UDP, for which there is no target proxy. */
export const datagramHeaderFields = {
  proxyHeader: optional(
    oneOf(
      'Extension of this project, with UDP: the header that the edge sends in front of every datagram of a client; NONE unless given.',
      ['NONE', 'PROXY_V2'],
      { unsupported: ['PROXY_V1'], remedy: 'give PROXY_V2: version 1 has no form for UDP' },
    ),
  ),
  proxyHeaderOptions: optional(
    list(
      'Extension of this project, with UDP: what a PROXY_V2 header contains besides the addresses.',
      oneOf('An option.', OPTION_WORDS),
    ),
  ),
} as const

/** Says what is wrong with the options of a header: they belong to version 2. */
export function optionsProblem(
  proxyHeader: string,
  options: readonly string[],
): [rule: string, remedy: string] | undefined {
  if (options.length === 0 || proxyHeader === 'PROXY_V2') return undefined
  return [`${proxyHeader} has no options`, 'remove them, or give PROXY_V2 as proxyHeader']
}
