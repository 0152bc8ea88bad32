import { setTimeout as sleep } from 'node:timers/promises'
import { signalIfAlive } from '../../linux/run.ts'
import { findLab, type LabDirectory, removeLabDirectory } from './lab-directory.ts'

const END_MS_MAX = 20_000
const POLL_MS = 20

/**
 * Ends a lab, by killing its first process: the kernel then kills all others, and with the last of them go namespaces,
 * mounts, addresses and files. Removes what another lab has left here. Waits until nothing is there any more.
 *
 * @returns false: there was none
 * @throws Error when processes do not end
 */
export async function endLab(directory: LabDirectory): Promise<boolean> {
  let wasThere = false
  for (const deadlineMs = performance.now() + END_MS_MAX; ; ) {
    const found = findLab(directory)
    if (found.kind === 'none') return wasThere
    if (found.kind === 'running') signalIfAlive(found.initPid, 'SIGKILL')
    if (found.kind === 'left') removeLabDirectory(directory)
    wasThere ||= found.kind !== 'left'
    if (performance.now() > deadlineMs) {
      throw new Error(
        `The lab "${directory.name}" does not end within ${END_MS_MAX / 1_000} s; see "${directory.path}"`,
      )
    }
    await sleep(POLL_MS)
  }
}
