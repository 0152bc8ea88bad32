import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** The resident memory of a process in bytes (proc(5), VmRSS). */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) * 1024
}

/** How many sockets a process has open, listening ones and those of the admin server included (proc(5)). */
export function openSockets(pid: number): number {
  const directory = `/proc/${pid}/fd`
  return readdirSync(directory).filter((fd) => isSocket(join(directory, fd))).length
}

function isSocket(path: string): boolean {
  try {
    return readlinkSync(path).startsWith('socket:')
  } catch {
    return false
  }
}

/** CPU time of a process so far in milliseconds (proc(5), utime and stime of `stat`, in ticks of 10 ms). */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}
