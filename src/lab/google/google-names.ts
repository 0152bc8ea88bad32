/** Google's own addresses for machines that reach it by a private network (private.googleapis.com); here they lead to the lab. */
export const GOOGLE_IPV4 = '199.36.153.8'
export const GOOGLE_IPV6 = '2600:2d00:2:2000::1'

const API_NAMES = ['compute.googleapis.com', 'networkservices.googleapis.com', 'www.googleapis.com']
const OAUTH_NAME = 'oauth2.googleapis.com'
const STORAGE_NAME = 'storage.googleapis.com'
/** Other APIs that gcloud and Google's libraries ask: the lab says that it has none of them, which no look-up would. */
const REFUSED_NAMES = ['cloudresourcemanager', 'iam', 'iamcredentials', 'logging', 'oslogin', 'serviceusage'].map(
  (name) => `${name}.googleapis.com`,
)
/** Where gcloud opens tunnels by Identity-Aware Proxy. */
export const TUNNEL_NAME = 'tunnel.cloudproxy.app'
const METADATA_NAME = 'metadata.google.internal'

const DOOR_NAMES = [...API_NAMES, OAUTH_NAME, STORAGE_NAME, ...REFUSED_NAMES, TUNNEL_NAME]

/** The names that the lab's certificate is for. */
export const CERTIFICATE_NAMES = [...DOOR_NAMES, METADATA_NAME]

/** Lines for /etc/hosts: a machine of the lab asks the lab by these names, and nobody else. */
export function hostsLines(metadataAddress: string): string {
  const names = DOOR_NAMES.join(' ')
  // The name with a dot at its end is what some libraries ask for, so that no search domain is tried.
  const metadata = `${METADATA_NAME} ${METADATA_NAME}. metadata`
  return `${metadataAddress} ${metadata}\n${GOOGLE_IPV4} ${names}\n${GOOGLE_IPV6} ${names}\n`
}

/** Who answers a request to one of the names. */
export type Answerer = 'controller' | 'oauth' | 'storage'

/** Who answers what was sent to a Host; undefined: the name is none of ours. */
export function answererOf(host: string | undefined, url: string): Answerer | undefined {
  const name = host?.toLowerCase().replace(/:443$/, '').replace(/\.$/, '') ?? ''
  if (name === STORAGE_NAME) return 'storage'
  if (name === OAUTH_NAME || (API_NAMES.includes(name) && url.startsWith('/oauth2/'))) return 'oauth'
  // The older name of all of Google's APIs is the one that libraries know for storage, too.
  if (name === 'www.googleapis.com' && /^\/(?:(?:download|(?:resumable\/)?upload)\/)?storage\/v1\//.test(url))
    return 'storage'
  return API_NAMES.includes(name) ? 'controller' : undefined
}
