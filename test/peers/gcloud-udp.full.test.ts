// What gcloud lets one make for UDP: all of it in a region; globally the service without its tracking, for which it has
// flags and does not send them, and the rest by files.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Gcloud, noGcloud, withGcloud } from './gcloud.ts'

type Json = Readonly<Record<string, unknown>>

const REGION = ['--region', 'us-central1']
const GLOBAL = ['--global']
const TRACKING = [
  '--connection-persistence-on-unhealthy-backends=NEVER_PERSIST',
  '--tracking-mode=PER_CONNECTION',
  '--idle-timeout-sec=30',
]

async function described(gcloud: Gcloud, group: string, name: string, scope: readonly string[]): Promise<Json> {
  const { stdout } = await gcloud.run(group, 'describe', name, ...scope, '--format=json')
  return JSON.parse(stdout) as Json
}

async function makeService(gcloud: Gcloud, name: string, scope: readonly string[]): Promise<void> {
  await gcloud.succeed('backend-services', 'create', name, ...scope, '--protocol=UDP', ...TRACKING)
  const { protocol, connectionTrackingPolicy } = await described(gcloud, 'backend-services', name, scope)
  const tracking = {
    connectionPersistenceOnUnhealthyBackends: 'NEVER_PERSIST',
    idleTimeoutSec: 30,
    trackingMode: 'PER_CONNECTION',
  }
  assert.deepEqual([protocol, connectionTrackingPolicy], ['UDP', scope === GLOBAL ? undefined : tracking])
}

test('in a region gcloud makes a rule and a service for UDP, and leads the rule to another', { skip: noGcloud }, () =>
  withGcloud(async (gcloud) => {
    for (const name of ['a', 'b']) await makeService(gcloud, name, REGION)
    const rule = ['--ip-protocol=UDP', '--ports=53', '--backend-service=a', '--load-balancing-scheme=EXTERNAL']
    await gcloud.succeed('forwarding-rules', 'create', 'r', ...REGION, ...rule)
    const made = await described(gcloud, 'forwarding-rules', 'r', REGION)
    assert.match(String(made.backendService), /\/regions\/us-central1\/backendServices\/a$/)
    assert.deepEqual([made.IPProtocol, made.portRange, made.target], ['UDP', '53-53', undefined])
    const listed = await gcloud.succeed('forwarding-rules', 'list')
    assert.match(listed, /r +us-central1 +\S+ +UDP +us-central1\/backendServices\/a/)
    await gcloud.succeed('forwarding-rules', 'set-target', 'r', ...REGION, '--backend-service=b')
    const { backendService } = await described(gcloud, 'forwarding-rules', 'r', REGION)
    assert.match(String(backendService), /backendServices\/b$/)
    await gcloud.succeed('backend-services', 'update', 'b', ...REGION, '--idle-timeout-sec=5')
    const { connectionTrackingPolicy } = await described(gcloud, 'backend-services', 'b', REGION)
    assert.equal((connectionTrackingPolicy as Json).idleTimeoutSec, 5)
  }),
)

test('globally gcloud refuses a rule with a service by itself, and imports one from a file', { skip: noGcloud }, (t) =>
  withGcloud(async (gcloud) => {
    const directory = mkdtempSync(join(tmpdir(), 'truepeer-udp-'))
    t.after(() => rmSync(directory, { recursive: true, force: true }))
    await makeService(gcloud, 'u', GLOBAL)
    const rule = ['--ip-protocol=UDP', '--ports=53', '--backend-service=u']
    const { status, stderr } = await gcloud.run('forwarding-rules', 'create', 'r', ...GLOBAL, ...rule)
    assert.equal(status, 1)
    assert.match(stderr, /You cannot specify \[--backend-service\] for a global forwarding rule/)
    const file = join(directory, 'file.yaml')
    await gcloud.succeed('backend-services', 'export', 'u', ...GLOBAL, '--destination', file)
    writeFileSync(file, `${readFileSync(file, 'utf8')}connectionTrackingPolicy:\n  idleTimeoutSec: 7\n`)
    await gcloud.succeed('backend-services', 'import', 'u', ...GLOBAL, '--source', file)
    const { selfLink, connectionTrackingPolicy } = await described(gcloud, 'backend-services', 'u', GLOBAL)
    assert.deepEqual(connectionTrackingPolicy, { idleTimeoutSec: 7 })
    const fields = [`backendService: ${selfLink}`, 'IPProtocol: UDP', 'portRange: 53-53', 'name: r']
    writeFileSync(file, `${fields.join('\n')}\nloadBalancingScheme: EXTERNAL\n`)
    await gcloud.succeed('forwarding-rules', 'import', 'r', ...GLOBAL, '--source', file)
    const { IPProtocol, backendService } = await described(gcloud, 'forwarding-rules', 'r', GLOBAL)
    assert.deepEqual([IPProtocol, backendService], ['UDP', selfLink])
    writeFileSync(file, `${fields.join('\n')}\nloadBalancingScheme: EXTERNAL\nproxyHeader: PROXY_V2\n`)
    const strange = await gcloud.run('forwarding-rules', 'import', 'r', ...GLOBAL, '--source', file)
    assert.equal(strange.status, 1, 'gcloud does not know the header of a rule: that takes REST')
  }),
)

test('what does not fit is refused with the field and the reason', { skip: noGcloud }, () =>
  withGcloud(async (gcloud) => {
    const create = (...flags: string[]) => gcloud.fail('backend-services', 'create', 'x', ...REGION, ...flags)
    assert.match(
      await create('--protocol=TCP', '--tracking-mode=PER_SESSION'),
      /'resource.connectionTrackingPolicy.trackingMode'.*it cannot be used with the protocol TCP/s,
    )
    assert.match(
      await create('--protocol=UDP', '--idle-timeout-sec=57601'),
      /'resource.connectionTrackingPolicy.idleTimeoutSec': '57601'/,
    )
  }),
)
