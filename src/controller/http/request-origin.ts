import { isLoopbackName } from '../../telemetry/loopback-name.ts'

const HOST_FORM = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?)(:\d{1,5})?$/

/**
 * Says why a request must not be answered because of where it says that it goes and comes from; undefined: it may be.
 *
 * A page of another site can make a browser ask here: its requests carry that site as Origin, or, when its name was made
 * to lead to this address (DNS rebinding), as Host.
 *
 * @param needsLoopback whether whoever reaches the port is let in, so that the name has to be this host's
 */
export function refusalOfOrigin(
  { host, origin }: { readonly host?: string | undefined; readonly origin?: string | undefined },
  scheme: 'http' | 'https',
  needsLoopback: boolean,
): string | undefined {
  if (host !== undefined && !HOST_FORM.test(host))
    return 'The Host header is not a host name; send the name of this server'
  if (needsLoopback && host !== undefined && !isLoopbackName(host)) {
    return `"${host.slice(0, 80)}" is not a name of this server; use 127.0.0.1, [::1] or localhost`
  }
  if (origin !== undefined && (host === undefined || origin.toLowerCase() !== `${scheme}://${host}`.toLowerCase())) {
    return 'Requests from web pages of other sites (with their Origin) are not answered'
  }
  return undefined
}
