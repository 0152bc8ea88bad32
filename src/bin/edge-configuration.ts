import type { LocalConfiguration } from '../cli/edge.ts'
import type { CertificateFiles } from '../cli/one-line-edge.ts'
import { checkResource } from '../compute/check-resource.ts'
import type { Problem } from '../compute/problem.ts'
import { type ReadResources, readResources } from '../compute/read-resources.ts'
import { certificateProblems } from '../edge/frontends/certificate-problems.ts'
import { ConfigurationError } from '../edge/frontends/configuration-error.ts'
import { tlsProblems, tlsWarnings } from '../edge/frontends/frontend-tls.ts'
import { type OwnedText, readOwnedTextFile, readWatchedTextFile } from '../linux/text-file.ts'
import { compile } from '../snapshot/compile.ts'
import { LINK_LOCAL, localBackendProblems } from '../snapshot/local-backends.ts'
import type { Snapshot } from '../snapshot/snapshot.ts'
import { type Place, snapshotWarnings } from '../snapshot/snapshot-warnings.ts'
import { counted } from '../text/counts.ts'
import { messageOf } from '../text/error-message.ts'
import { readTicketKeys, type TicketKey } from '../tls/ticket-keys.ts'

const HOLDS_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----/

/**
 * Reads and compiles the configuration of an edge as it is now.
 *
 * @param allowsLocalBackends takes backends at link-local addresses; those at loopback are always taken: whoever writes
 * the configuration is the operator of this host
 * @throws ConfigurationError with everything that is wrong
 */
export function readSnapshot(configuration: LocalConfiguration, allowsLocalBackends: boolean): Snapshot {
  const { resources, problems } = readAll(configuration)
  const compiled = compile(resources, [...problems, ...certificateProblems(resources)])
  if ('snapshot' in compiled) {
    const local = allowsLocalBackends ? [] : localBackendProblems(compiled.snapshot, LINK_LOCAL)
    if (local.length > 0)
      throw new ConfigurationError(local.map((problem) => ({ ...problem, source: nameOf(configuration) })))
    return compiled.snapshot
  }
  const files = configuration.kind === 'resources' ? configuration.certificateFiles : []
  const keyPaths = new Map(files.map(({ name, keyPath }) => [`sslCertificates/${name}`, keyPath]))
  const placed = compiled.problems.map((problem) => {
    const keyPath = problem.path === 'privateKey' ? keyPaths.get(problem.resource) : undefined
    return keyPath === undefined ? problem : { ...problem, source: keyPath }
  })
  throw new ConfigurationError(placed)
}

/**
 * Reads the keys of tickets as they are now; undefined: there is no file of them.
 *
 * @throws ConfigurationError also when others may read the file: with its keys, recorded sessions can be decrypted
 */
export function readTicketKeyFile(configuration: LocalConfiguration): readonly TicketKey[] | undefined {
  const { ticketKeysPath: path, isWatched } = configuration
  if (path === undefined) return undefined
  const read = readOwned(path, isWatched)
  if (typeof read === 'string') throw new ConfigurationError([fileProblem(path, read)])
  if (read.isReadableByOthers) throw new ConfigurationError([readableProblem(path, 'ticket keys')])
  const keys = readTicketKeys(read.text)
  if (!('rule' in keys)) return keys
  const problem: Problem = { source: path, resource: '', path: '', code: 'invalid', ...keys }
  throw new ConfigurationError([problem])
}

/** The files that {@link readSnapshot} and {@link readTicketKeyFile} read. */
export function configurationPaths(configuration: LocalConfiguration): readonly string[] {
  const ticketKeys = configuration.ticketKeysPath ?? []
  if (configuration.kind === 'files') return [...configuration.paths].concat(ticketKeys)
  const pairs = configuration.certificateFiles.flatMap(({ certificatePath, keyPath }) => [certificatePath, keyPath])
  return pairs.concat(ticketKeys)
}

/** Reads all that an edge needs of its configuration, and checks what it would do with it. @throws ConfigurationError */
export function readChecked(configuration: LocalConfiguration, allowsLocalBackends: boolean): Snapshot {
  const snapshot = servable(readSnapshot(configuration, allowsLocalBackends))
  readTicketKeyFile(configuration)
  return snapshot
}

/** A snapshot whose TLS this host can serve. @throws ConfigurationError for any other */
export function servable(snapshot: Snapshot): Snapshot {
  const refused = tlsProblems(snapshot)
  if (refused.length > 0) throw new ConfigurationError(refused)
  return snapshot
}

/** Sentences of what is right in a configuration, and perhaps not meant. */
export function warningsOf(snapshot: Snapshot, place: Place): readonly string[] {
  return [...snapshotWarnings(snapshot, place), ...tlsWarnings(snapshot)]
}

/** The lines that `--check` prints about a configuration that is right: warnings, and how much there is. @throws ConfigurationError as {@link readChecked} */
export function describeConfiguration(
  configuration: LocalConfiguration,
  allowsLocalBackends: boolean,
  place: Place,
): string {
  const snapshot = readChecked(configuration, allowsLocalBackends)
  const { frontends, services } = snapshot
  const backends = services.flatMap(({ groups }) => groups.flatMap((group) => group.backends))
  const name = nameOf(configuration)
  const counts = `${counted(frontends.length, 'frontend')}, ${counted(backends.length, 'backend')}`
  return [...warningsOf(snapshot, place).map((warning) => `warning: ${warning}`), `${counts}: ok`]
    .map((line) => `${name}: ${line}\n`)
    .join('')
}

function nameOf(configuration: LocalConfiguration): string {
  return configuration.kind === 'files' ? configuration.paths.join(', ') : 'command line'
}

function readAll(configuration: LocalConfiguration): ReadResources {
  const { isWatched } = configuration
  const isResources = configuration.kind === 'resources'
  const given = isResources ? [{ resources: configuration.resources, problems: [] }] : []
  const read = isResources
    ? configuration.certificateFiles.map((files) => readPair(files, isWatched))
    : configuration.paths.map((path) => readFile(path, isWatched))
  const files = [...given, ...read]
  return {
    resources: files.flatMap(({ resources }) => resources),
    problems: files.flatMap(({ problems }) => problems),
  }
}

function readFile(path: string, isWatched: boolean): ReadResources {
  const read = readOwned(path, isWatched)
  if (typeof read === 'string') return { resources: [], problems: [fileProblem(path, read)] }
  const { resources, problems } = readResources(read.text, path)
  if (!read.isReadableByOthers || !HOLDS_KEY.test(read.text)) return { resources, problems }
  return { resources, problems: [readableProblem(path, 'a private key'), ...problems] }
}

/** The certificate that two files of the command line stand for. */
function readPair({ name, certificatePath, keyPath }: CertificateFiles, isWatched: boolean): ReadResources {
  const certificate = readOwned(certificatePath, isWatched)
  const key = readOwned(keyPath, isWatched)
  const resource = `sslCertificates/${name}`
  const problems = [
    ...(typeof certificate === 'string' ? [fileProblem(certificatePath, certificate, resource)] : []),
    ...(typeof key === 'string' ? [fileProblem(keyPath, key, resource)] : []),
    // One that holds none is another file, whose problem is told by what is in it.
    ...(typeof key !== 'string' && key.isReadableByOthers && HOLDS_KEY.test(key.text)
      ? [readableProblem(keyPath, 'a private key', resource)]
      : []),
  ]
  if (typeof certificate === 'string' || typeof key === 'string') return { resources: [], problems }
  const value = { name, certificate: certificate.text, privateKey: key.text }
  const checked = checkResource('sslCertificates', value, certificatePath)
  if ('checked' in checked) return { resources: [checked.checked], problems }
  return { resources: [], problems: [...problems, ...checked.problems] }
}

/** The text of a file, or why it cannot be read. */
function readOwned(path: string, isWatched: boolean): OwnedText | string {
  try {
    return isWatched ? readWatchedTextFile(path) : readOwnedTextFile(path)
  } catch (error) {
    return messageOf(error)
  }
}

function fileProblem(source: string, reason: string, resource = ''): Problem {
  const rule = `the file cannot be read (${reason})`
  return { source, resource, path: '', code: 'notFound', rule, remedy: 'give a readable file' }
}

function readableProblem(source: string, contents: string, resource = ''): Problem {
  const rule = `the file contains ${contents}, and other users can read it`
  return { source, resource, path: '', code: 'invalid', rule, remedy: `"chmod 600 ${source}"` }
}
