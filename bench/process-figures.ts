/** What Linux says of another process. */
import { readdirSync, readFileSync } from 'node:fs'

/** User and system time of all threads of process `pid` that live, microseconds: to the nanosecond, not to the tick. */
export function cpuMicrosOf(pid: number): number {
  let nanos = 0
  for (const task of readdirSync(`/proc/${pid}/task`))
    nanos += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0])
  return nanos / 1000
}

/** Resident memory of process `pid`, MiB. */
export function residentMiBOf(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) / 1024
}
