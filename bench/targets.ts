import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Scenario, TargetKind } from './result.ts'

/** Where proxies listen, and where the app does, on 127.0.0.1 of a host of their own. */
export const PROXY_PORT = 7_000
export const APP_PORT = 8_000

/** Where bench/relay-floor.c is compiled to. */
export const FLOOR_PROGRAM = fileURLToPath(new URL('../../build/bench-relay-floor', import.meta.url))

/** The certificate of TLS, its key, and both in one file, in the directory that a target is started in. */
export const TLS_FILES = { certificate: 'cert.pem', key: 'key.pem', both: 'both.pem' } as const

/** A proxy to measure: its command, started in a directory that holds `files`. */
export type Target = {
  readonly name: string
  readonly scenario: Scenario
  readonly kind: TargetKind
  /** The program that has to be installed, and how it tells its version. */
  readonly program: string
  readonly versionArguments?: readonly string[]
  readonly module?: string
  readonly files?: { readonly [name: string]: string }
  readonly command: readonly string[]
  readonly isBulkOnly?: boolean
}

const TRUEPEER = fileURLToPath(new URL('../../bin/truepeer', import.meta.url))
const PROXY = `127.0.0.1:${PROXY_PORT}`
const APP = `127.0.0.1:${APP_PORT}`
const NGINX_STREAM = '/usr/lib/nginx/modules/ngx_stream_module.so'
const LISTEN_OPTIONS = {
  haproxy: { agent: ' accept-proxy', edge: '', 'edge-tls': ` ssl crt ${TLS_FILES.both}` },
  nginx: { agent: ' proxy_protocol', edge: '', 'edge-tls': ' ssl' },
} as const
const AGENT_COMMAND = [TRUEPEER, 'agent', '-l', PROXY, '-4', APP, '--allow-all-subnets']

/** Every target of a scenario, truepeer first; whether it is installed is another question. */
export function allTargets(scenario: Scenario): readonly Target[] {
  const isAgent = scenario === 'agent'
  const edge = [TRUEPEER, 'edge', '--listen', PROXY, '--backend', APP]
  if (scenario === 'edge-tls') {
    const command = [...edge, '--tls-cert', TLS_FILES.certificate, '--tls-key', TLS_FILES.key]
    return [
      { name: 'truepeer', scenario, kind: 'truepeer', program: TRUEPEER, command },
      haproxy('haproxy', scenario, ''),
      nginx('nginx', scenario, `ssl_certificate ${TLS_FILES.certificate}; ssl_certificate_key ${TLS_FILES.key}; `),
    ]
  }
  const truepeer = isAgent ? AGENT_COMMAND : edge
  const floor = [FLOOR_PROGRAM, `${PROXY_PORT}`, `${APP_PORT}`]
  const targets: Target[] = [
    { name: 'truepeer', scenario, kind: 'truepeer', program: TRUEPEER, command: truepeer },
    haproxy('haproxy', scenario, ''),
    haproxy('haproxy-splice', scenario, '  option splice-request\n  option splice-response\n'),
    nginx('nginx', scenario, ''),
    nginx('nginx-64k', scenario, 'proxy_buffer_size 64k; '),
  ]
  if (isAgent) {
    const command = ['go-mmproxy', '-l', PROXY, '-4', APP, '-v', '0']
    targets.push({ name: 'go-mmproxy', scenario, kind: 'peer', program: 'go-mmproxy', command })
  }
  return [...targets, { name: 'floor', scenario, kind: 'floor', program: FLOOR_PROGRAM, command: floor }]
}

/** The agent as an ordinary user of `userId` and `groupId` who may spoof addresses and nothing else. */
export function agentAsUser(user: string, userId: string, groupId: string): Target {
  const privileges = ['--inh-caps=-all,+net_raw', '--ambient-caps=+net_raw', '--bounding-set=-all,+net_raw']
  const identity = [`--reuid=${userId}`, `--regid=${groupId}`, '--clear-groups']
  return {
    name: `truepeer-as-${user}`,
    scenario: 'agent',
    kind: 'truepeer',
    program: TRUEPEER,
    command: ['setpriv', ...identity, ...privileges, ...AGENT_COMMAND],
    isBulkOnly: true,
  }
}

/** Why a target cannot be started here, if so; `hasProgram` looks a program up in PATH. */
export function whyMissing(target: Target, hasProgram: (name: string) => boolean): string | undefined {
  if (!target.program.includes('/') && !hasProgram(target.program)) return `${target.program} is not installed`
  if (target.module !== undefined && !existsSync(target.module)) return 'libnginx-mod-stream is not installed'
  return undefined
}

function haproxy(name: string, scenario: Scenario, options: string): Target {
  const isAgent = scenario === 'agent'
  const text = `global
  nbthread 1
  maxconn 7000
defaults
  mode tcp
  maxconn 7000
  timeout connect 5s
  timeout client 120s
  timeout server 120s
${options}frontend f
  bind ${PROXY}${LISTEN_OPTIONS.haproxy[scenario]}
  default_backend b
backend b
${isAgent ? '  source 0.0.0.0 usesrc clientip\n' : ''}  server app ${APP}${isAgent ? '' : ' send-proxy'}
`
  return {
    ...{ name, scenario, kind: 'peer', program: 'haproxy', versionArguments: ['-v'] },
    files: { 'haproxy.cfg': text },
    command: ['haproxy', '-db', '-f', 'haproxy.cfg'],
  }
}

function nginx(name: string, scenario: Scenario, options: string): Target {
  const isAgent = scenario === 'agent'
  const role = isAgent ? 'set_real_ip_from 127.0.0.0/8; proxy_bind $remote_addr transparent;' : 'proxy_protocol on;'
  const text = `load_module ${NGINX_STREAM};
user root; daemon off; worker_processes 1; worker_rlimit_nofile 20000; pid nginx.pid; error_log error.log warn;
events { worker_connections 19000; }
stream { server { listen ${PROXY}${LISTEN_OPTIONS.nginx[scenario]} backlog=16384; ${role} ${options}proxy_pass ${APP}; } }
`
  return {
    ...{ name, scenario, kind: 'peer', program: 'nginx', versionArguments: ['-v'], module: NGINX_STREAM },
    files: { 'nginx.conf': text },
    // The prefix is its working directory, and what the configuration names is relative to it.
    command: ['sh', '-c', 'exec nginx -p "$PWD" -c nginx.conf -e error.log'],
  }
}
