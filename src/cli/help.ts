import { agentHelpFlags } from './agent.ts'
import { agentInstallFlags, agentUninstallFlags } from './agent-install.ts'
import { backupFlags, controllerFlags, restoreFlags, tokenFlags } from './controller.ts'
import { doctorFlags, edgeDoctorFlags } from './doctor.ts'
import { edgeFlags } from './edge.ts'
import { type FlagTable, spelled } from './flags.ts'
import { hostSetupFlags } from './host-setup.ts'
import { labEnterFlags, labFlags, labStatusFlags } from './lab.ts'
import { statusFlags } from './status.ts'
import { steerFlags } from './steer.ts'
import { verifyFlags, whoamiFlags } from './verify.ts'

/** A subcommand as the help shows it. */
export type Command = { readonly summary: string; readonly usage: string; readonly flags: FlagTable }

/** Every subcommand by its name. */
export const commands = {
  edge: {
    summary: 'Accept clients, choose a healthy backend, and tell it the address of the client',
    usage:
      'truepeer edge --listen ADDR:PORT --backend ADDR:PORT [--backend ADDR:PORT ...] [flags]\n       truepeer edge --config FILE [--config FILE ...] [flags]\n       truepeer edge --controller URL|unix:PATH --name NAME [flags]',
    flags: edgeFlags,
  },
  agent: {
    summary: "Accept connections from trusted edges, and connect to the local app from the client's address",
    usage:
      'truepeer agent -l ADDR:PORT -4 ADDR:PORT -6 ADDR:PORT --allowed-subnets FILE [flags]\n       truepeer agent -l ... -4 ... -6 ... --controller URL|unix:PATH --instance NAME [flags]\n       truepeer agent --config FILE [--check]',
    flags: agentHelpFlags,
  },
  'agent install': {
    summary: 'Write the systemd units that run an agent with these flags on this host',
    usage: 'truepeer agent install [flags of this command and of truepeer agent]',
    flags: agentInstallFlags,
  },
  'agent uninstall': {
    summary: 'Remove the systemd units that truepeer agent install has written',
    usage: 'truepeer agent uninstall [flags]',
    flags: agentUninstallFlags,
  },
  'doctor agent': {
    summary: 'Check whether an agent with these flags will work on this host',
    usage: 'truepeer doctor agent [flags of this command and of truepeer agent]',
    flags: doctorFlags,
  },
  'doctor edge': {
    summary: 'Check whether an edge with these flags will work on this host, and whether its backends can be reached',
    usage: 'truepeer doctor edge [flags of this command and of truepeer edge]',
    flags: edgeDoctorFlags,
  },
  status: {
    summary: 'Show a running edge (frontends, groups, backends, their health and connections) or agent (listeners)',
    usage: 'truepeer status [--admin HOST:PORT|unix:PATH] [--json] [--why CLIENT [--frontend NAME]]',
    flags: statusFlags,
  },
  drain: {
    summary: 'Take a backend of a running edge out: it gets no new connections, and keeps those that it has',
    usage: 'truepeer drain BACKEND [--admin HOST:PORT|unix:PATH]',
    flags: steerFlags,
  },
  enable: {
    summary: 'Let a backend that was drained have new connections again',
    usage: 'truepeer enable BACKEND [--admin HOST:PORT|unix:PATH]',
    flags: steerFlags,
  },
  controller: {
    summary: 'Store the configuration, serve the API of Compute Engine, and send every change to the edges',
    usage:
      'truepeer controller --data DIR [--listen ADDR:PORT] [--unix PATH] [--project NAME] [--address-pool CIDR] [flags]',
    flags: controllerFlags,
  },
  'controller backup': {
    summary: 'Write everything that a controller has stored into one file; the controller may be running',
    usage: 'truepeer controller backup --data DIR --to FILE',
    flags: backupFlags,
  },
  'controller restore': {
    summary: 'Replace what a controller has stored by a backup; the controller must be stopped',
    usage: 'truepeer controller restore --data DIR --from FILE [--overwrite]',
    flags: restoreFlags,
  },
  'controller token': {
    summary: 'Create, list or revoke the bearer tokens of a controller, which may be running',
    usage:
      'truepeer controller token create --data DIR --user NAME --role ROLE\n       truepeer controller token list --data DIR\n       truepeer controller token revoke --data DIR --id ID',
    flags: tokenFlags,
  },
  verify: {
    summary:
      "Connect to a frontend as a client, and show its certificates and whether the app sees this client's address",
    usage:
      'truepeer verify ADDR:PORT [--tls [--ca FILE] [--servername NAME]] [--client-first] [--json]\n       truepeer verify ADDR:PORT -p udp [--client ADDR:PORT] [--client-first] [--json]',
    flags: verifyFlags,
  },
  whoami: {
    summary: 'Run an app that tells each client which address it sees, over TCP and UDP; it answers truepeer verify',
    usage: 'truepeer whoami [--listen ADDR:PORT]',
    flags: whoamiFlags,
  },
  'host-setup': {
    summary: 'Set up, take away or show what an agent needs of this host: routing and a firewall',
    usage: 'truepeer host-setup apply|remove|status [flags]',
    flags: hostSetupFlags,
  },
  'lab up': {
    summary: 'Start a lab: edges, clients and a VPC on this machine, for gcloud and the API, until it is taken down',
    usage: 'truepeer lab up [--name LAB]',
    flags: labFlags,
  },
  'lab down': {
    summary: 'End a lab; nothing is left of it',
    usage: 'truepeer lab down [--name LAB]',
    flags: labFlags,
  },
  'lab status': {
    summary: 'Show the hosts of a lab, their addresses, and what can be typed next',
    usage: 'truepeer lab status [--name LAB] [--json]',
    flags: labStatusFlags,
  },
  'lab reset': {
    summary: 'Take a lab back to how it was when it was started',
    usage: 'truepeer lab reset [--name LAB]',
    flags: labFlags,
  },
  'lab shell': {
    summary: 'Open a shell on a host of a lab; without HOST, on "client"',
    usage: 'truepeer lab shell [--name LAB] [--zone ZONE] [HOST]',
    flags: labEnterFlags,
  },
  'lab exec': {
    summary: 'Run a command on a host of a lab',
    usage: 'truepeer lab exec [--name LAB] [--zone ZONE] HOST -- COMMAND [ARGUMENT ...]',
    flags: labEnterFlags,
  },
  'lab env': {
    summary: 'Print the variables by which gcloud and SDKs in your own shell use a lab',
    usage: 'eval "$(truepeer lab env [--name LAB])"',
    flags: labFlags,
  },
} as const satisfies Readonly<Record<string, Command>>

/** The name of a command, of one or two words. */
export type CommandName = keyof typeof commands

const WIDTH = 100
const INDENT = '      '

/** The text of `truepeer --help`. */
export function programHelp(): string {
  const names = Object.entries(commands).map(([name, command]) => `  ${name.padEnd(18)} ${command.summary}`)
  return [
    "truepeer: a load balancer for TCP and UDP that never loses the client's address",
    '',
    'Usage: truepeer COMMAND [flags]',
    '',
    'Commands:',
    ...names,
    '',
    'Flags:',
    '  --help     Show this text; after a command, its flags (also: truepeer help COMMAND)',
    '  --version  Show the version',
    '',
  ].join('\n')
}

/** The commands that begin with a word, such as those of `truepeer lab`; undefined: there are none, or it is one itself. */
export function groupHelp(word: string): string | undefined {
  const members = Object.entries(commands).filter(([name]) => name.startsWith(`${word} `))
  if (members.length === 0 || Object.hasOwn(commands, word)) return undefined
  const names = members.map(([name, command]) => `  ${name.padEnd(18)} ${command.summary}`)
  return [`Usage: truepeer ${word} COMMAND [flags]`, '', 'Commands:', ...names, ''].join('\n')
}

/** The text of `truepeer COMMAND --help`. */
export function commandHelp(command: Command): string {
  const flags = Object.values(command.flags).flatMap((flag) => {
    const value = flag.metavar === '' ? '' : ` ${flag.metavar}`
    const suffix = flag.defaultText === undefined ? '' : ` (default: ${flag.defaultText})`
    return [`  ${spelled(flag)}${value}`, ...wrap(`${flag.help}${suffix}`)]
  })
  return [
    command.summary,
    '',
    `Usage: ${command.usage}`,
    '',
    'Flags (with one or two dashes; a TIME is, for example, 500ms, 5s or 1h, or a number of seconds):',
    ...flags,
    '',
  ].join('\n')
}

function wrap(text: string): string[] {
  const lines: string[] = []
  let line = INDENT
  for (const word of text.split(' ')) {
    if (line.length + word.length > WIDTH && line !== INDENT) {
      lines.push(line.trimEnd())
      line = INDENT
    }
    line += `${word} `
  }
  return [...lines, line.trimEnd()]
}
