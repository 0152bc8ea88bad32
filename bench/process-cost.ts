import { readdirSync, readFileSync } from 'node:fs'

// USER_HZ of proc(5): 100 on every architecture that node runs on.
const TICK_US = 10_000

/** The CPU time, in microseconds, that a process, its threads and all its descendants have used. */
export function cpuTimeUs(rootPid: number): number {
  let ticks = 0
  for (const pid of processTree(rootPid)) {
    // utime, stime, cutime, cstime: fields 14 to 17 (proc(5)); the latter two are those of children that have ended.
    const fields = statFields(pid)
    for (const field of fields.slice(11, 15)) ticks += Number(field)
  }
  return ticks * TICK_US
}

/** The resident memory of a process and all its descendants, in KiB. */
export function residentKib(rootPid: number): number {
  let sum = 0
  for (const pid of processTree(rootPid)) {
    // Not VmRSS: the kernel adds that up per thread and lags behind.
    sum += Number(/^Rss: +([0-9]+) kB$/m.exec(readOr(`/proc/${pid}/smaps_rollup`, ''))?.[1] ?? 0)
  }
  return sum
}

/** The time that the hypervisor has given to others, of all CPUs, in microseconds. */
export function stealUs(): number {
  const [, ...fields] = readFileSync('/proc/stat', 'utf8').split('\n')[0].split(/ +/)
  return Number(fields[7]) * TICK_US
}

/** Reports whether something listens on a TCP port in the network of a process. */
export function isListening(pid: number, port: number): boolean {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return readOr(`/proc/${pid}/net/tcp`, '')
    .split('\n')
    .some((line) => {
      const [, local, , state] = line.trim().split(/ +/)
      return state === '0A' && local?.endsWith(suffix)
    })
}

/** The CPUs on which this process may run. */
export function allowedCpus(): readonly number[] {
  const list = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
}

function processTree(rootPid: number): readonly number[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(name)) continue
    const parent = Number(statFields(Number(name))[1])
    children.set(parent, [...(children.get(parent) ?? []), Number(name)])
  }
  const tree = [rootPid]
  for (const pid of tree) tree.push(...(children.get(pid) ?? []))
  return tree
}

/** The fields behind the name, which may itself hold blanks and brackets: state, parent, … Empty when it has ended. */
function statFields(pid: number): readonly string[] {
  const text = readOr(`/proc/${pid}/stat`, '')
  return text.slice(text.lastIndexOf(')') + 2).split(' ')
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return otherwise
  }
}
