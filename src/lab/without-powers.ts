/**
 * Capabilities (capabilities(7)) by which root of a machine would set the clock of this machine, load modules into its
 * kernel, write to its hardware, or keep it awake: they are not about a machine's own namespaces.
 */
const POWERS = [
  'sys_time',
  'sys_module',
  'sys_rawio',
  'syslog',
  'mac_admin',
  'mac_override',
  'wake_alarm',
  'block_suspend',
  'audit_control',
]

/** Of a program that is executed next, and of all that it starts. */
export const withoutPowers: readonly string[] = [
  'setpriv',
  `--bounding-set=${POWERS.map((power) => `-${power}`).join(',')}`,
]
