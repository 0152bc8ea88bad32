import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseEndpoint } from '../../src/address/endpoint.ts'
import { edgeTls } from '../../src/bin/edge-tls.ts'
import { startController } from '../../src/controller/controller.ts'
import type { TlsIdentity } from '../../src/controller/http/http-server.ts'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'

/** What a run of gcloud left behind. */
export type GcloudRun = { readonly status: number; readonly stdout: string; readonly stderr: string }

/** The reason to skip tests that need gcloud; false: it is there. */
export const noGcloud: string | false = isInstalled('gcloud') ? false : 'gcloud is not installed'

/** Google's own gcloud, talking to a controller in place of Google. */
export class Gcloud {
  readonly #configuration = mkdtempSync(join(tmpdir(), 'truepeer-gcloud-'))
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  /** Runs `gcloud compute …`, whatever becomes of it. */
  run(...args: readonly string[]): Promise<GcloudRun> {
    return this.runAny('compute', ...args)
  }

  /** The same with a command of any of Google's APIs that a controller has. */
  runAny(...args: readonly string[]): Promise<GcloudRun> {
    const env = {
      ...process.env,
      CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE: `${this.#url}/compute/v1/`,
      CLOUDSDK_API_ENDPOINT_OVERRIDES_NETWORKSERVICES: `${this.#url}/ns/`,
      CLOUDSDK_AUTH_DISABLE_CREDENTIALS: 'true',
      CLOUDSDK_CORE_PROJECT: 'p',
      CLOUDSDK_CORE_DISABLE_PROMPTS: '1',
      CLOUDSDK_CORE_DISABLE_USAGE_REPORTING: 'true',
      CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK: 'true',
      CLOUDSDK_CONFIG: this.#configuration,
    }
    return new Promise((resolve) => {
      execFile('gcloud', args, { env, timeout: 60_000 }, (error, stdout, stderr) => {
        resolve({ status: error === null ? 0 : Number(error.code ?? 1), stdout, stderr })
      })
    })
  }

  /** A command that has to succeed; returns what it printed, both channels. */
  async succeed(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run(...args)
    assert.equal(status, 0, `gcloud compute ${args.join(' ')}: ${stdout}${stderr}`)
    return `${stdout}${stderr}`
  }

  /** A command that the API has to refuse; returns its words. */
  async fail(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run(...args)
    assert.equal(status, 1, `gcloud compute ${args.join(' ')}: ${stdout}${stderr}`)
    return stderr
  }

  remove(): void {
    rmSync(this.#configuration, { recursive: true, force: true })
  }
}

/** Where a controller listens: its URL, and `unix:PATH`. */
type Addresses = { readonly url: string; readonly unix: string }

/** Where a controller listens, with which certificate, if any, and its project. */
type Listens = { readonly address: string; readonly tls?: TlsIdentity; readonly project?: string }

/** Starts a controller, with a project `p` on a free port where nothing else is said, and a socket; calls `use` with both. */
export async function withController(
  use: (addresses: Addresses) => Promise<void>,
  { address, tls, project = 'p' }: Listens = { address: '127.0.0.1:0' },
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-controller-'))
  const endpoint = parseEndpoint(address)
  assert.ok(endpoint)
  const controller = await startController({
    directory,
    creates: true,
    addresses: [
      { kind: 'tcp', endpoint },
      { kind: 'unix', path: `${directory}.sock` },
    ],
    readTls: tls && (() => tls),
    projects: [project],
    addressPools: ['203.0.113.0/24', '2001:db8::/64'],
    poolAddresses: [LOAD_BALANCER],
    edgeTls: edgeTls(),
    log: () => {},
  })
  try {
    const [url, unix] = controller.urls
    assert.ok(url !== undefined && unix !== undefined)
    await use({ url, unix })
  } finally {
    await controller.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** The same with gcloud for it. */
export async function withGcloud(use: (gcloud: Gcloud, addresses: Addresses) => Promise<void>): Promise<void> {
  await withController(async (addresses) => {
    const gcloud = new Gcloud(addresses.url)
    try {
      await use(gcloud, addresses)
    } finally {
      gcloud.remove()
    }
  })
}

/** The first address that the controller gives away. */
const LOAD_BALANCER = IPV4.edge

const zone = ['--zone', 'us-central1-b']
const groupFlags = ['--instance-group', 'my-instance-group', '--instance-group-zone', 'us-central1-b']

/** The guide's rows up to the firewall, each with what it prints; `files` are a certificate and its key in PEM. */
export function guideRows(files: {
  readonly certificate: string
  readonly privateKey: string
}): readonly (readonly [args: readonly string[], output: RegExp])[] {
  const proxy = ['--backend-service', 'my-tcp-lb', '--proxy-header', 'PROXY_V1']
  const image = ['--image-project', 'centos-cloud', '--image-family', 'centos-7']
  return [
    [
      [
        'instances',
        'create',
        'my-backend',
        ...image,
        '--tags',
        'tcp-lb',
        ...zone,
        '--private-network-ip',
        IPV4.backend,
      ],
      /my-backend +us-central1-b +n1-standard-1 +10\.128\.0\.2 +10\.128\.0\.2 +RUNNING/,
    ],
    [
      ['instance-groups', 'unmanaged', 'create', 'my-instance-group', ...zone],
      /my-instance-group +us-central1-b +zone +0/,
    ],
    [
      ['instance-groups', 'set-named-ports', 'my-instance-group', '--named-ports', 'tcp110:110', ...zone],
      /^Updated \[/,
    ],
    [
      ['instance-groups', 'unmanaged', 'add-instances', 'my-instance-group', '--instances', 'my-backend', ...zone],
      /^Updated \[/,
    ],
    [['health-checks', 'create', 'tcp', 'my-tcp-health-check', '--port', '110'], /my-tcp-health-check +TCP/],
    [
      [
        'backend-services',
        'create',
        'my-tcp-lb',
        '--global-health-checks',
        '--global',
        '--protocol',
        'TCP',
        '--health-checks',
        'my-tcp-health-check',
        '--timeout',
        '5m',
        '--port-name',
        'tcp110',
      ],
      /my-tcp-lb +TCP/,
    ],
    [
      [
        'backend-services',
        'add-backend',
        'my-tcp-lb',
        '--global',
        ...groupFlags,
        '--balancing-mode',
        'UTILIZATION',
        '--max-utilization',
        '0.8',
      ],
      /^Updated \[/,
    ],
    [
      ['target-tcp-proxies', 'create', 'my-tcp-lb-target-proxy', ...proxy],
      /^Created \[.*\/targetTcpProxies\/my-tcp-lb-target-proxy\]/,
    ],
    [
      [
        'ssl-certificates',
        'create',
        'my-ssl-cert',
        '--certificate',
        files.certificate,
        '--private-key',
        files.privateKey,
      ],
      /my-ssl-cert +SELF_MANAGED +20.* +20/,
    ],
    [
      ['ssl-policies', 'create', 'my-ssl-policy', '--profile', 'MODERN', '--min-tls-version', '1.0'],
      /my-ssl-policy +MODERN +TLS_1_0/,
    ],
    [
      [
        'target-ssl-proxies',
        'create',
        'my-ssl-lb-target-proxy',
        '--ssl-certificates',
        'my-ssl-cert',
        '--ssl-policy',
        'my-ssl-policy',
        ...proxy,
      ],
      /my-ssl-lb-target-proxy +PROXY_V1 +my-tcp-lb +my-ssl-cert/,
    ],
    [
      ['addresses', 'create', 'lb-static-ipv4', '--ip-version=IPV4', '--global'],
      /^Created \[.*\/addresses\/lb-static-ipv4\]/,
    ],
    [['addresses', 'list'], /lb-static-ipv4 +203\.0\.113\.10 +EXTERNAL +RESERVED/],
    [
      [
        'forwarding-rules',
        'create',
        'my-tcp-lb-ipv4-forwarding-rule',
        '--global',
        '--target-tcp-proxy',
        'my-tcp-lb-target-proxy',
        '--address',
        LOAD_BALANCER,
        '--ports',
        '110',
      ],
      /^Created \[/,
    ],
    [
      [
        'forwarding-rules',
        'create',
        'my-ssl-lb-ipv4-forwarding-rule',
        '--global',
        '--target-ssl-proxy',
        'my-ssl-lb-target-proxy',
        '--address',
        'lb-static-ipv4',
        '--ports',
        '995',
      ],
      /^Created \[/,
    ],
    [
      [
        'firewall-rules',
        'create',
        'allow-lb-and-health',
        '--source-ranges',
        '130.211.0.0/22,35.191.0.0/16',
        '--target-tags',
        'tcp-lb',
        '--allow',
        'tcp:110',
      ],
      /allow-lb-and-health +default +INGRESS +1000 +tcp:110 +False/,
    ],
  ]
}

function isInstalled(program: string): boolean {
  return (process.env.PATH ?? '').split(':').some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
