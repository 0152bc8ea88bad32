// The lab process: the first program of a lab, in the namespaces of its own that src/lab/process has made for it. It is
// the controller, makes hosts of what that is told, and keeps the edges running.

import { constants, mkdirSync, openSync, readSync } from 'node:fs'
import { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { parseEndpoint } from '../address/endpoint.ts'
import { type Controller, startController } from '../controller/controller.ts'
import type { IsTrustedPeer } from '../controller/http/http-server.ts'
import type { MakeProvider } from '../controller/model/world.ts'
import { HostMachine } from '../lab/machines/host-machine.ts'
import { LabMachines } from '../lab/machines/lab-machines.ts'
import type { Machine, MachineFiles } from '../lab/machines/machine.ts'
import type { StartServices } from '../lab/machines/running-machine.ts'
import { makeSkeleton } from '../lab/machines/skeleton.ts'
import { hostInstance } from '../lab/metadata/metadata-resources.ts'
import { keepBounded } from '../lab/process/bounded-log.ts'
import { CONTROL_SOCKET, startControl } from '../lab/process/control.ts'
import type { LabHost, LabNews, LabOrder, LabStatus } from '../lab/process/lab-status.ts'
import { LIFELINE, OUTSIDE_DIRECTORY } from '../lab/process/namespaces.ts'
import { GLOBAL_POOLS, NAT_POOLS, REGIONS } from '../lab/world/places.ts'
import { HOSTS, World } from '../lab/world/world.ts'
import { runChecked } from '../linux/run.ts'
import { connectionUid } from '../linux/socket-table.ts'
import { askAdmin } from '../telemetry/ask-admin.ts'
import { type Log, openLog } from '../telemetry/log.ts'
import { messageOf } from '../text/error-message.ts'
import { edgeTls } from './edge-tls.ts'
import { startLabGoogle } from './lab-google.ts'

const PROJECT = 'truepeer'
const PROJECT_PATH = `/compute/v1/projects/${PROJECT}`
const STATE = '/run/truepeer'
/** A disk of its own: machines that fill it leave the controller its own. */
const MACHINES = `${STATE}/machines`
const DATA_DIRECTORY = `${STATE}/controller`
const CONTROLLER_SOCKET_INSIDE = '/run/truepeer/controller.sock'
const CONTROLLER_SOCKET = `${OUTSIDE_DIRECTORY}/controller.sock`
/** For whoever is outside to put objects into. */
const BUCKETS = `${OUTSIDE_DIRECTORY}/buckets`
const CHECKOUT = fileURLToPath(new URL('../../..', import.meta.url))
/** Where machines have what is outside, wherever that is: the program, its node, and the API. */
const FILES: Omit<MachineFiles, 'skeleton'> = {
  shared: {
    '/opt/truepeer': CHECKOUT,
    '/usr/local/bin/node': process.execPath,
    [CONTROLLER_SOCKET_INSIDE]: CONTROLLER_SOCKET,
  },
  links: { '/usr/local/bin/truepeer': '/opt/truepeer/bin/truepeer' },
}
/**
 * An edge waits 5 s for first probes of new backends, which a firewall drops until its rule is there, and shares the
 * processors of one machine with all of the lab.
 */
const APPLY_WAIT_MS = 15_000
/** What {@link startLab} listens to. */
const CHANNEL_FD = 3

async function runLab(order: LabOrder, log: Log): Promise<LabStatus> {
  const world = new World()
  mkdirSync(MACHINES, { recursive: true })
  await runChecked('mount', ['-n', '-t', 'tmpfs', '-o', 'mode=0755', 'tmpfs', MACHINES])
  const [skeleton] = await Promise.all([makeSkeleton(`${STATE}/skeleton`), world.build()])
  const files = { ...FILES, skeleton }
  mkdirSync(BUCKETS, { mode: 0o700 })
  const { startServices, startInstanceServices, guestAttributes } = await startLabGoogle({
    fabric: world.fabric,
    directory: `${STATE}/google`,
    dataDirectory: DATA_DIRECTORY,
    controllerSocket: CONTROLLER_SOCKET,
    bucketsDirectories: [`${CHECKOUT}buckets`, BUCKETS],
    checkout: '/opt/truepeer',
  })
  const machines = new LabMachines({
    directory: MACHINES,
    fabric: world.fabric,
    zones: REGIONS.flatMap(({ zones }) => zones),
    files,
    startServices: startInstanceServices,
    guestAttributes,
  })
  const controller = await startLabController(order, machines.makeProvider, log)
  const hosts = await startHosts(files, startServices)
  const hostOf = (host: string): Machine => {
    const found = hosts.find(({ name }) => name === host)
    if (found === undefined) throw new Error(`There is no host "${host}"`)
    return found
  }
  await world.startEdges({
    hostOf,
    program: 'truepeer',
    controller: `unix:${CONTROLLER_SOCKET_INSIDE}`,
    onLine: (edge, line) => process.stdout.write(`${edge}: ${line}\n`),
  })
  const status = (): LabStatus => ({
    name: order.name,
    url: controller.urls[0],
    project: PROJECT,
    pools: GLOBAL_POOLS,
    noLatency: world.noLatency,
    hosts: [
      ...world.hosts().map((host) => (hostOf(host.name).isRunning ? host : { ...host, state: 'starting' })),
      ...machines.hosts(),
    ],
  })
  const entrance = ({ name, zone }: LabHost) => {
    const machine = zone === undefined ? hostOf(name) : machines.running(name, zone)
    return machine?.isRunning ? { enter: machine.enterArguments() } : undefined
  }
  await startControl(`${OUTSIDE_DIRECTORY}/${CONTROL_SOCKET}`, { status, entrance })
  return status()
}

/** Turns on the hosts that are on the network already. */
async function startHosts(files: MachineFiles, startServices: StartServices): Promise<readonly Machine[]> {
  const { id } = JSON.parse(await askAdmin({ kind: 'unix', path: CONTROLLER_SOCKET }, 'GET', PROJECT_PATH))
  const project = { project: PROJECT, scope: 'global', name: PROJECT, id: String(id), resource: {} }
  return await Promise.all(
    HOSTS.map(async ({ name, region }) => {
      const host = new HostMachine({
        name,
        namespace: name,
        directory: `${MACHINES}/${name}`,
        files,
        metadata: { instance: hostInstance(name, `${region}-b`, project), project },
        startServices,
      })
      await host.start()
      return host.machine
    }),
  )
}

/**
 * The controller of the lab; where another program has the port, on one that is free. Whoever can make an instance runs
 * what he likes as root of the lab, so that other users of the machine cannot.
 */
async function startLabController(
  { port, owners }: LabOrder,
  makeProvider: MakeProvider,
  log: Log,
): Promise<Controller> {
  const isTrustedPeer: IsTrustedPeer = (client, server) => owners.includes(connectionUid(client, server) ?? -1)
  const endpointAt = (number: number) => {
    const endpoint = parseEndpoint(`127.0.0.1:${number}`)
    if (endpoint === undefined) throw new Error(`"${number}" is not a port`)
    return endpoint
  }
  const start = (number: number): Promise<Controller> =>
    startController({
      directory: DATA_DIRECTORY,
      creates: true,
      addresses: [
        { kind: 'tcp', endpoint: endpointAt(number) },
        { kind: 'unix', path: CONTROLLER_SOCKET },
      ],
      readTls: undefined,
      projects: [PROJECT],
      addressPools: GLOBAL_POOLS,
      poolAddresses: [],
      natPools: NAT_POOLS,
      ipv6Subnets: Object.fromEntries(REGIONS.map(({ name, subnet6 }) => [name, subnet6])),
      edgeTls: edgeTls(),
      makeProvider,
      isTrustedPeer,
      applyWaitMs: APPLY_WAIT_MS,
      log,
    })
  try {
    return await start(port)
  } catch (error) {
    if (((error as Error).cause as NodeJS.ErrnoException | undefined)?.code !== 'EADDRINUSE') throw error
    return await start(0)
  }
}

/** Ends with whoever started it, until it runs; with the shell outside always. */
function endWithOthers(channel: Socket): void {
  const end = (): never => process.exit(1)
  channel.on('error', end).on('close', end).resume()
  const fd = openSync(`${OUTSIDE_DIRECTORY}/${LIFELINE}`, constants.O_RDONLY | constants.O_NONBLOCK)
  if (hasEnded(fd)) end()
  const lifeline = new Socket({ fd, writable: false })
  lifeline.on('error', end).on('close', end).resume()
}

/** A pipe that had lost its writer when it was opened tells nobody who waits for that (fifo(7), poll(2)). */
function hasEnded(fd: number): boolean {
  try {
    return readSync(fd, Buffer.alloc(1)) === 0
  } catch {
    // EAGAIN
    return false
  }
}

const { log } = openLog('json')
const channel = new Socket({ fd: CHANNEL_FD })
endWithOthers(channel)
const tell = (news: LabNews): Promise<void> =>
  new Promise((resolve) => {
    channel.removeAllListeners('close')
    channel.end(`${JSON.stringify(news)}\n`, () => resolve())
  })
keepBounded(process.stdout.fd, (bytes) => log('warn', 'the log was too long and begins anew', { bytes }))
try {
  const ready = await runLab(JSON.parse(process.argv[2]) as LabOrder, log)
  await tell({ ready })
} catch (error) {
  await tell({ failed: messageOf(error) })
  process.exit(1)
}
