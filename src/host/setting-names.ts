/** Settings of an agent as its operator writes them, for remedies. */
export type SettingNames = {
  readonly listen: string
  readonly target4: string
  readonly target6: string
  readonly allowedSubnets: string
  readonly ephemeralSourcePort: string
  readonly controller: string
  readonly instance: string
  readonly tokenFile: string
  readonly controllerCa: string
  readonly state: string
}

/** For an agent that is started with flags. */
export const FLAG_NAMES: SettingNames = {
  listen: '-l',
  target4: '-4',
  target6: '-6',
  allowedSubnets: '--allowed-subnets',
  ephemeralSourcePort: '--source-port ephemeral',
  controller: '--controller',
  instance: '--instance',
  tokenFile: '--token-file',
  controllerCa: '--controller-ca',
  state: '--state',
}

/** For an agent that is started with a configuration file. */
export const FILE_NAMES: SettingNames = {
  listen: '"listen" in the file',
  target4: '"target4" in the file',
  target6: '"target6" in the file',
  allowedSubnets: '"allowedSubnets" in the file',
  ephemeralSourcePort: '"sourcePort: ephemeral" in the file',
  controller: '"controller" in the file',
  instance: '"instance" in the file',
  tokenFile: '"tokenFile" in the file',
  controllerCa: '"controllerCa" in the file',
  state: '"state" in the file',
}
