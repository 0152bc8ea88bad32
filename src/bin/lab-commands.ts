import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { CommandName } from '../cli/help.ts'
import {
  formatLab,
  formatLabEnv,
  LAB_DEFAULT,
  type LabCommand,
  parseLab,
  parseLabExec,
  parseLabShell,
  parseLabStatus,
} from '../cli/lab.ts'
import { machineEnvironment } from '../lab/google/machine-files.ts'
import { CONTROL_SOCKET, hostPath } from '../lab/process/control.ts'
import { endLab } from '../lab/process/end-lab.ts'
import { enterCommand } from '../lab/process/enter-lab.ts'
import {
  type FoundLab,
  findLab,
  type LabDirectory,
  type LabUser,
  labDirectory,
  labNames,
  makeLabDirectory,
  ownRuntimeDirectory,
  removeLabDirectory,
} from '../lab/process/lab-directory.ts'
import type { LabEntrance, LabStatus } from '../lab/process/lab-status.ts'
import { requireLab } from '../lab/process/requirements.ts'
import { startLab } from '../lab/process/start-lab.ts'
import { SYSTEM_PATH } from '../lab/system-path.ts'
import { exitStatusOf, runHere } from '../linux/run-here.ts'
import { askAdmin } from '../telemetry/ask-admin.ts'

type LabCommandName = Extract<CommandName, `lab ${string}`>

/** Where the API of a lab is on the machine's loopback address, if nobody else is there. */
const PORT = 8110
const POLL_MS = 50
const LAB_PROCESS = fileURLToPath(import.meta.resolve('./lab-process.js'))

/** Runs a command of `truepeer lab`. @returns the exit status @throws UsageError, or Error with its remedy */
export async function runLabCommand(
  command: LabCommandName,
  argv: readonly string[],
  program: string,
  print: (text: string) => void,
): Promise<number> {
  const user = labUser()
  const shown = shownProgram(program)
  switch (command) {
    case 'lab up': {
      print(formatLab(await upOrThere(parseLab(argv).name, user), shown))
      return 0
    }
    case 'lab down': {
      const { name } = parseLab(argv)
      if (!(await endLab(labDirectory(name, user)))) print(`${noLab(name, user)}\n`)
      return 0
    }
    case 'lab status': {
      const { name, json } = parseLabStatus(argv)
      const status = await statusOf((await runningLab(name, user, shown)).directory)
      print(json ? `${JSON.stringify(status, undefined, 2)}\n` : formatLab(status, shown))
      return 0
    }
    case 'lab reset': {
      const { name } = parseLab(argv)
      const { directory } = await runningLab(name, user, shown)
      const { url } = await statusOf(directory)
      await endLab(directory)
      print(formatLab(await up(directory, user, Number(new URL(url).port)), shown))
      return 0
    }
    case 'lab env': {
      const { directory } = await runningLab(parseLab(argv).name, user, shown)
      print(formatLabEnv(await statusOf(directory)))
      return 0
    }
    case 'lab shell':
      return enter(parseLabShell(argv), user, program)
    case 'lab exec':
      return enter(parseLabExec(argv), user, program)
  }
}

/** Whose labs this process sees. */
export function labUser(): LabUser {
  const uid = process.getuid?.() ?? 0
  return { uid, runtimeDirectory: ownRuntimeDirectory(process.env['XDG_RUNTIME_DIR'], uid) }
}

/** The status of a lab that runs, or of one that is started here. */
async function upOrThere(name: string, user: LabUser): Promise<LabStatus> {
  const directory = labDirectory(name, user)
  const found = await settled(directory)
  return found.kind === 'running' ? statusOf(directory) : up(directory, user, PORT)
}

async function up(directory: LabDirectory, user: LabUser, port: number): Promise<LabStatus> {
  const isRoot = user.uid === 0
  await requireLab({ uid: user.uid, userName: userInfo().username, path: process.env['PATH'] ?? '' })
  if (!makeLabDirectory(directory)) {
    throw new Error(`Somebody else has just started the lab "${directory.name}"; "lab status" shows it`)
  }
  const command = [process.execPath, '--enable-source-maps', LAB_PROCESS]
  // An ordinary user is root inside; whoever has become root by sudo goes on in a shell of his own.
  const sudoUid = isRoot ? process.env['SUDO_UID'] : undefined
  const owners = sudoUid === undefined ? [0] : [0, Number(sudoUid)]
  return startLab({ directory, isRoot, command, order: { name: directory.name, port, owners } })
}

/**
 * Waits for a start or an end that goes on: a lab that runs answers at its control socket. What is left of one that was
 * killed is removed.
 */
async function settled(directory: LabDirectory): Promise<FoundLab> {
  for (;;) {
    const found = findLab(directory)
    if (found.kind === 'left') removeLabDirectory(directory)
    if (found.kind === 'none') return found
    if (found.kind === 'running' && existsSync(join(directory.path, CONTROL_SOCKET))) return found
    await sleep(POLL_MS)
  }
}

/** @throws Error that says how to start it */
async function runningLab(name: string, user: LabUser, program: string) {
  const directory = labDirectory(name, user)
  const found = await settled(directory)
  if (found.kind === 'running') return { directory, initPid: found.initPid }
  const flag = name === LAB_DEFAULT ? '' : ` --name ${name}`
  throw new Error(`${noLab(name, user)}; start it with "${program} lab up${flag}"`)
}

/** That there is no such lab, and which others there are. */
function noLab(name: string, user: LabUser): string {
  const others = labNames(user).map((other) => `"${other}"`)
  if (others.length === 0) return `There is no lab "${name}"`
  return `There is no lab "${name}", but ${others.join(', ')}, which --name chooses`
}

async function statusOf(directory: LabDirectory): Promise<LabStatus> {
  return JSON.parse(await ask(directory, '/status')) as LabStatus
}

function ask({ path }: LabDirectory, what: string): Promise<string> {
  return askAdmin({ kind: 'unix', path: join(path, CONTROL_SOCKET) }, 'GET', what)
}

async function enter(command: LabCommand, user: LabUser, program: string): Promise<number> {
  const words = await commandOnHost(command, user, program)
  return exitStatusOf(await runHere(words[0], words.slice(1)))
}

/** The words of a command that runs another one, or a shell, on a host of a lab that runs. @throws Error */
export async function commandOnHost(
  { name, host, zone, command }: LabCommand,
  user: LabUser,
  program: string,
): Promise<readonly string[]> {
  const { directory, initPid } = await runningLab(name, user, program)
  const { enter: entrance } = JSON.parse(await ask(directory, hostPath(host, zone))) as LabEntrance
  const environment = {
    HOME: '/root',
    USER: 'root',
    LOGNAME: 'root',
    SHELL: '/bin/bash',
    TERM: process.env['TERM'] ?? 'dumb',
    LANG: process.env['LANG'] ?? 'C.UTF-8',
    // The node and the program that the lab itself runs with.
    PATH: [dirname(process.execPath), dirname(program), SYSTEM_PATH].join(':'),
    ...machineEnvironment,
  }
  // Whoever pipes commands into it wants no prompts.
  const flags = process.stdin.isTTY ? ' -i' : ''
  const shell = ['sh', '-c', `exec "$(command -v bash || echo sh)"${flags}`]
  return enterCommand(
    { initPid, isRoot: user.uid === 0, enter: entrance, environment, directory: process.cwd() },
    command.length === 0 ? shell : command,
  )
}

/** As the user calls it from where he is. */
function shownProgram(program: string): string {
  const path = relative(process.cwd(), program)
  return path.startsWith('..') ? 'truepeer' : path
}
