import type { RunResult } from '../../linux/run.ts'
import type { GoogleIdentity } from './authority.ts'
import { hostsLines } from './google-names.ts'

/** Where a machine keeps the lab's authority; `update-ca-certificates` finds it there, too. */
const AUTHORITY_FILE = '/usr/local/share/ca-certificates/truepeer-lab.crt'

/** What programs of a machine have to be told in their environment: node reads no file of the system's authorities. */
export const machineEnvironment: Readonly<Record<string, string>> = { NODE_EXTRA_CA_CERTS: AUTHORITY_FILE }

/** On a machine that is busy with many others. */
const PLACE_MS_MAX = 60_000

/** A machine whose /etc, /usr and /root are its own. */
export type MachineWithFiles = {
  run(
    program: string,
    args: readonly string[],
    options: { readonly input: string; readonly timeoutMs: number },
  ): Promise<RunResult>
}

/**
 * Where programs read the authorities that they trust: bundles of the system, then those that Python's certifi and Google's
 * SDK bring with them. Patterns of sh(1).
 */
const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
  '/usr/lib/python3*/*-packages/certifi/cacert.pem',
  '/usr/local/lib/python3*/*-packages/certifi/cacert.pem',
  ...['/usr/lib', '/usr/share', '/usr/local', '/opt'].flatMap((place) =>
    [
      'lib/third_party/certifi/cacert.pem',
      'platform/bq/third_party/certifi/cacert.pem',
      'platform/bq/third_party/httplib2/python3/cacerts.txt',
      'platform/gsutil/gslib/data/cacerts.txt',
      'platform/gsutil/third_party/certifi/certifi/cacert.pem',
      'platform/gsutil/third_party/httplib2/python3/httplib2/cacerts.txt',
    ].map((file) => `${place}/google-cloud-sdk/${file}`),
  ),
]

/**
 * Has a machine know Google's names and trust the lab's authority, by files of its own and nobody else's: the machine
 * itself writes them, so that its own root is what every path and link leads to. May be done again.
 *
 * @throws Error with what the machine said
 */
export async function placeFiles(
  machine: MachineWithFiles,
  { authority, authorityHash }: GoogleIdentity,
  metadataAddress: string,
): Promise<void> {
  const variables = Object.entries(machineEnvironment).map(([name, value]) => `${name}=${value}`)
  const hosts = `# Google's names in this lab\n${hostsLines(metadataAddress)}`
  const values = [AUTHORITY_FILE, authorityHash, hosts.trimEnd(), variables.join('\n')]
  const { exitCode, stderr } = await machine.run('sh', ['-c', SCRIPT, 'google', ...values], {
    input: authority,
    timeoutMs: PLACE_MS_MAX,
  })
  if (exitCode !== 0) throw new Error(`The names of Google could not be written into the machine: ${stderr.trim()}`)
}

/**
 * A bundle is replaced, not written to: in an ordinary user's lab the file below belongs to nobody. One that cannot be
 * replaced stays without the authority.
 */
const SCRIPT = `set -eu
authority=$1
mkdir -p "$(dirname "$authority")" /etc/ssl/certs
rm -f "$authority"
cat >"$authority"
ln -sf "$authority" "/etc/ssl/certs/$2.0"
[ -e /etc/ssl/certs/ca-certificates.crt ] || : >/etc/ssl/certs/ca-certificates.crt
mark=$(sed -n 2p "$authority")
for pattern in ${BUNDLES.join(' ')}; do
  bundle=$(readlink -f "$pattern") || continue
  [ -f "$bundle" ] || continue
  if grep -qF -e "$mark" "$bundle"; then continue; fi
  if cat "$bundle" "$authority" >"$bundle.new"; then mv -f "$bundle.new" "$bundle"; else rm -f "$bundle.new"; fi || :
done
append() {
  if grep -qxF -e "$(printf %s "$2" | tail -n 1)" "$1" 2>/dev/null; then return; fi
  { cat "$1" 2>/dev/null || :; printf '%s\\n' "$2"; } >"$1.new"
  mv -f "$1.new" "$1"
}
append /etc/hosts "$3"
append /etc/environment "$4"
`
