import { lstatSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'

/** Whose labs they are. */
export type LabUser = {
  readonly uid: number
  /** `XDG_RUNTIME_DIR`, where there is one. */
  readonly runtimeDirectory: string | undefined
}

/**
 * Where a lab is seen from outside: its directory is `path` below `base`, and holds the controller's socket, the control
 * socket and the log. Whatever else a lab writes is in file systems of its own.
 */
export type LabDirectory = {
  readonly name: string
  /** Of its owner. */
  readonly uid: number
  readonly base: string
  readonly path: string
}

/** A directory that somebody is making has no process yet; from when on it counts as left behind. */
const STARTING_MS_MAX = 10_000
/** Field 22 of proc(5), /proc/PID/stat, counted behind the name of the program, which may have spaces in it. */
const START_TIME_AT = 19

/**
 * The directory in `XDG_RUNTIME_DIR`, where it is this user's: who has become this user by su(1) may have that of somebody
 * else.
 */
export function ownRuntimeDirectory(path: string | undefined, uid: number): string | undefined {
  if (path === undefined || !isAbsolute(path)) return undefined
  try {
    const found = statSync(path)
    return found.isDirectory() && found.uid === uid ? path : undefined
  } catch {
    return undefined
  }
}

/** Names the directory of a lab. */
export function labDirectory(name: string, user: LabUser): LabDirectory {
  const base = baseOf(user)
  return { name, uid: user.uid, base, path: join(base, labsOf(user), name) }
}

/** The labs of this user that have a directory, by name. */
export function labNames(user: LabUser): readonly string[] {
  try {
    return readdirSync(join(baseOf(user), labsOf(user))).sort()
  } catch {
    return []
  }
}

function baseOf({ uid, runtimeDirectory }: LabUser): string {
  if (uid === 0) return '/run'
  return runtimeDirectory ?? '/tmp'
}

/** In a directory that everybody can write to, what is ours says so. */
function labsOf({ uid, runtimeDirectory }: LabUser): string {
  return uid === 0 || runtimeDirectory !== undefined ? 'truepeer/lab' : `truepeer-${uid}/lab`
}

/**
 * Makes the directory of a lab, for its owner alone.
 *
 * @returns false: there is one already
 * @throws Error of mkdir(2), or that somebody else has a directory in the way
 */
export function makeLabDirectory({ uid, path }: LabDirectory): boolean {
  const labs = join(path, '..')
  for (const parent of [join(labs, '..'), labs]) {
    mkdirSync(parent, { recursive: true, mode: 0o700 })
    const { uid: owner, mode } = lstatSync(parent)
    if (owner !== uid || (mode & 0o022) !== 0) {
      throw new Error(`"${parent}" is not this user's alone; remove it, or make it so with chown(1) and "chmod 700"`)
    }
  }
  try {
    mkdirSync(path, { mode: 0o700 })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  }
}

/** What a directory tells: a lab runs, somebody starts one, one was left behind, or there is none. */
export type FoundLab =
  /** `initPid`: the first process of the lab, as seen from here. */
  { readonly kind: 'running'; readonly initPid: number } | { readonly kind: 'starting' | 'left' | 'none' }

/** Looks for the lab of a directory. */
export function findLab({ uid, path }: LabDirectory): FoundLab {
  const made = lstatSync(path, { throwIfNoEntry: false })
  // What others put into a directory for all is theirs.
  if (made === undefined || made.uid !== uid) return { kind: 'none' }
  const init = readStat(join(path, 'init'))
  if (init === undefined) return { kind: Date.now() - made.ctimeMs < STARTING_MS_MAX ? 'starting' : 'left' }
  // Process ids are used again: only the time of the start tells that it is the same process.
  const isSame = readStat(`/proc/${init.pid}/stat`)?.startTime === init.startTime
  return isSame ? { kind: 'running', initPid: init.pid } : { kind: 'left' }
}

/** Removes the directory of a lab that has ended, and those above it where no other lab is. */
export function removeLabDirectory({ base, path }: LabDirectory): void {
  // What is about to be killed may still put a file there.
  rmSync(path, { recursive: true, force: true, maxRetries: 10 })
  for (let parent = dirname(path); parent !== base; parent = dirname(parent)) {
    try {
      rmdirSync(parent)
    } catch {
      return
    }
  }
}

function readStat(path: string): { readonly pid: number; readonly startTime: string } | undefined {
  try {
    const text = readFileSync(path, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const startTime = fields[START_TIME_AT]
    return startTime === undefined ? undefined : { pid: Number.parseInt(text, 10), startTime }
  } catch {
    return undefined
  }
}
