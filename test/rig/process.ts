import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** The resident memory of a process in bytes (proc(5), VmRSS). */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) * 1024
}

/** How many sockets a process has open, listening ones and those of the admin server included (proc(5)). */
export function openSockets(pid: number): number {
  return descriptors(pid).filter((target) => target.startsWith('socket:')).length
}

/** What each descriptor of a process leads to (proc(5)). */
export function descriptors(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`)
    } catch {
      return 'closed meanwhile'
    }
  })
}

/** CPU time of a process so far in milliseconds (proc(5), utime and stime of `stat`, in ticks of 10 ms). */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}
