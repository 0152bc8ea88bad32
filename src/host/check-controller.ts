import { accessSync, constants, existsSync, type Stats, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { readTextFile } from '../linux/text-file.ts'
import { messageOf } from '../text/error-message.ts'
import { type Finding, fail, ok, warn } from './finding.ts'
import type { SettingNames } from './setting-names.ts'

const WRITABLE_BY_OTHERS = 0o022
const OPEN_TO_OTHERS = 0o077

/** The controller that an agent follows, as a doctor has to know it. */
export type DoctorController = {
  /** How the agent's host is called there. */
  readonly name: string
  /** Where the last addresses of the edges are kept. */
  readonly file: string
  /** Asks it with the token of the agent. Never rejects. */
  readonly ask: () => Promise<ControllerAnswer>
}

/** What came of asking a controller about a host; the edges are their addresses. */
export type ControllerAnswer =
  | { readonly kind: 'answered'; readonly instances: readonly string[]; readonly edges: readonly string[] }
  | NoAnswer

/** What came of asking a controller as an edge; `known`: the token is one of this edge. */
export type EdgeAnswer = { readonly kind: 'known' } | NoAnswer

/** Why a controller has not said what it was asked for. */
export type NoAnswer =
  | { readonly kind: 'refused'; readonly status: number; readonly message: string }
  | { readonly kind: 'unreachable'; readonly message: string }

/** Reads a text of last addresses as an agent does; throws when an agent could not use it. */
export type ParseLastEdges = (text: string) => { readonly length: number }

/** Checks that the controller answers the agent, and that the agent can start without it. */
export async function checkController(
  { name, file, ask }: DoctorController,
  parseLastEdges: ParseLastEdges,
  names: SettingNames,
): Promise<Finding[]> {
  return [
    ...answerFindings(await ask(), name, names),
    checkStateDirectory(dirname(file), names),
    checkLastEdges(file, parseLastEdges),
  ]
}

function answerFindings(answer: ControllerAnswer, name: string, names: SettingNames): Finding[] {
  if (answer.kind !== 'answered') return [noAnswerFinding(answer, { name, role: 'agent' }, names)]
  const { edges, instances } = answer
  return [answersFinding(), checkEdges(edges), checkInstance(instances, name, names)]
}

/** A controller that takes the token. */
export function answersFinding(): Finding {
  return ok('controller', 'answers with this token')
}

/** A controller that cannot be asked, or that refuses. @param asker whose token it has to be */
export function noAnswerFinding(
  answer: NoAnswer,
  asker: { readonly name: string; readonly role: 'agent' | 'edge' },
  names: SettingNames,
): Finding {
  if (answer.kind === 'refused') {
    return fail('controller', `refuses (${answer.message})`, refusalRemedy(answer.status, asker, names))
  }
  const remedy = `start the controller, or correct ${names.controller}, ${names.tokenFile} or ${names.controllerCa}`
  return fail('controller', `does not answer (${answer.message})`, remedy)
}

function refusalRemedy(
  status: number,
  { name, role }: { readonly name: string; readonly role: 'agent' | 'edge' },
  names: SettingNames,
): string {
  if (status !== 401 && status !== 403) return 'see the log of the controller'
  return `put the token that "truepeer controller token create --user ${name} --role ${role}" prints into the file of ${names.tokenFile}`
}

function checkEdges(edges: readonly string[]): Finding {
  const name = 'controller-edges'
  if (edges.length > 0) return ok(name, `${edges.length} addresses of edges are trusted`)
  return warn(
    name,
    'no edge has reported its source addresses, so nobody is trusted',
    'start an edge that follows the same controller, and give it backends',
  )
}

function checkInstance(instances: readonly string[], instance: string, names: SettingNames): Finding {
  const name = 'controller-instance'
  if (instances.length > 0) return ok(name, `"${instance}" is ${instances.join(', ')}`)
  return warn(
    name,
    `the controller has no instance "${instance}"`,
    `if this host is an instance of another name ("gcloud compute instances list"), give that with ${names.instance}; if it is none and edges do not reach it as a network endpoint, create it ("gcloud compute instances create ${instance} --zone ZONE --private-network-ip ADDRESS", with the address of this host)`,
  )
}

/** Checks that what is kept of a controller can be written, and by nobody else. */
export function checkStateDirectory(directory: string, names: SettingNames): Finding {
  const name = 'state-directory'
  const remedy = `make "${directory}" a directory that only the user of the program can access (mode 0700), or name another one with ${names.state}`
  const place = nearest(directory)
  try {
    const stat = statSync(place)
    if (!stat.isDirectory()) return fail(name, `"${place}" is not a directory`, remedy)
    accessSync(place, constants.W_OK | constants.X_OK)
    if (place !== directory) return ok(name, `"${directory}" does not exist yet, and can be created`)
    if ((stat.mode & WRITABLE_BY_OTHERS) !== 0) {
      return fail(name, `other users can write into "${directory}", and so decide whom the program follows`, remedy)
    }
    return ok(name, `"${directory}" can be written`)
  } catch (error) {
    return fail(name, `"${directory}" cannot be written (${codeOf(error)})`, remedy)
  }
}

/** The folder itself or, where it is still to be made, the one that it will be made in. */
function nearest(directory: string): string {
  return existsSync(directory) || dirname(directory) === directory ? directory : nearest(dirname(directory))
}

function checkLastEdges(file: string, parseLastEdges: ParseLastEdges): Finding {
  const name = 'last-edges'
  let stat: Stats
  let count: number
  try {
    stat = statSync(file)
    // Whose it has to be depends on the user of the agent, who is somebody else here.
    count = parseLastEdges(readTextFile(file)).length
  } catch (error) {
    if (codeOf(error) === 'ENOENT')
      return ok(name, `there is no "${file}" yet, so nobody is trusted until the controller answers`)
    return fail(
      name,
      `"${file}" cannot be read (${messageOf(error)})`,
      "make the agent's user its owner, or remove it; the next answer of the controller writes it again",
    )
  }
  const mode = stat.mode & 0o777
  if ((mode & OPEN_TO_OTHERS) === 0) return ok(name, `${count} addresses in "${file}"`)
  const found = `"${file}" has the mode ${mode.toString(8).padStart(4, '0')}; the agent reads it only if other users have no rights on it`
  return fail(name, found, `chmod 600 "${file}"`)
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error)
}
