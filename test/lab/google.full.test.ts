// Google's own software in the machines of a lab, with nothing set anywhere: it finds Google by names and by its metadata
// server, as in Google's own machines.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { eventually } from '../rig/eventually.ts'
import { LABS, type RunningLab, startLab } from '../rig/lab.ts'

const PYTHON_PACKAGES = '/usr/lib/python3/dist-packages'
const NODE_PACKAGES = 'build/clients/node_modules'
const without = (path: string, name: string) => (existsSync(path) ? false : `${name} is not installed`)
const skip = without('/usr/bin/gcloud', 'gcloud')
const V1 = 'http://metadata.google.internal/computeMetadata/v1'
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOOxljOmtSydH34PHVx2G+d1jqVw9gahB2JAgvToolqn'
/** Files of this machine that only those of the lab's machines may differ from. */
const OURS = ['/etc/hosts', '/etc/ssl/certs/ca-certificates.crt', '/etc/resolv.conf', '/etc/passwd']

suite('Google’s software in a lab', { skip }, () => {
  let lab: RunningLab
  const ours = () => OURS.map((path) => (existsSync(path) ? readFileSync(path, 'utf8') : undefined))
  const atFirst = ours()
  const zone = ['--zone', 'us-central1-b']
  const gcloud = (host: string, ...args: readonly string[]) => lab.exec(host, 'gcloud', 'compute', ...args)
  const onBackend = (script: string) => lab.exec('my-backend', 'sh', '-c', script)
  const serial = () => gcloud('client', 'instances', 'get-serial-port-output', 'my-backend', ...zone)

  before(async () => {
    lab = await startLab('google')
    const metadata = [
      '^@^startup-script=#!/bin/bash\necho "hello from $(hostname) in $(pwd)"; exit 3',
      'startup-script-url=gs://startup-script-proxy/gommproxy-startup.bash',
      `ssh-keys=guide:${KEY} guide`,
      'enable-guest-attributes=TRUE',
    ]
    const image = ['--image-project', 'centos-cloud', '--image-family', 'centos-7', '--tags', 'tcp-lb']
    await gcloud('client', 'instances', 'create', 'my-backend', ...zone, ...image, `--metadata=${metadata.join('@')}`)
  })
  after(async () => {
    await lab.down()
    assert.deepEqual(ours(), atFirst)
  })

  test('gcloud finds account, project and API in every machine, by IPv6 alone, too', async () => {
    for (const host of ['client', 'client6', 'my-backend']) {
      assert.match(await gcloud(host, 'instances', 'list'), /^my-backend +us-central1-b .* 10\.128\.0\.2 .*RUNNING$/m)
      const project = await lab.exec(host, 'gcloud', 'config', 'get', 'project')
      assert.match(project, /^truepeer$/m)
    }
    const policies = ['network-services', 'service-lb-policies', 'list', '--location', 'global']
    await lab.exec('client', 'gcloud', ...policies)
  })

  test('what an instance may do is in the scopes of its account, and is said with its name', async () => {
    const refused = gcloud('my-backend', 'addresses', 'create', 'x', '--global')
    await assert.rejects(refused, /'\d+-compute@developer\.gserviceaccount\.com' is a viewer/)
    await gcloud('client', 'addresses', 'create', 'x', '--global')
    assert.match(await gcloud('my-backend', 'addresses', 'list'), /^x /m)
  })

  test('gcloud storage reads the buckets of the lab', async () => {
    const object = 'gs://startup-script-proxy/gommproxy-startup.bash'
    const script = readFileSync('buckets/startup-script-proxy/gommproxy-startup.bash', 'utf8')
    assert.equal(await lab.exec('client', 'gcloud', 'storage', 'cat', object), script)
    assert.match(await lab.exec('client', 'gcloud', 'storage', 'ls', 'gs://startup-script-proxy'), /gommproxy-startup/)
    const added = join(LABS, 'google/buckets/added')
    mkdirSync(added)
    writeFileSync(join(added, 'object'), 'from outside')
    const url = 'https://storage.googleapis.com/added/object'
    assert.equal(await lab.exec('my-backend', 'curl', '-sf', url), 'from outside')
  })

  const noRunner = without('/usr/bin/google_metadata_script_runner', 'google-guest-agent')
  test('the script runner runs both scripts, and says what became of them', { skip: noRunner }, async () => {
    await eventually('the scripts have run', async () => (await serial()).includes('Finished running startup scripts'))
    const output = await serial()
    assert.match(output, /^startup-script: hello from my-backend in /m)
    assert.match(output, /^startup-script exit status 3$/m)
    assert.match(output, /^Found startup-script-url in metadata\.$/m)
    assert.match(output, /^startup-script-url exit status 0$/m)
  })

  test('without the script runner, ours does the same', async () => {
    const output = await onBackend('node /opt/truepeer/dist/src/bin/run-metadata-scripts.js startup')
    assert.match(output, /^hello from my-backend in .*\nstartup-script exit status 3\n/m)
    assert.match(output, /^startup-script-url exit status 0\nFinished running startup scripts\.\n/m)
  })

  test('the guest agent makes users of ssh keys, also of those that come later', { skip: noRunner }, async () => {
    const has = (user: string) => async () => (await onBackend(`id ${user} || true`)).includes('google-sudoers')
    await eventually('the user of the instance is there', has('guide'))
    assert.match(await onBackend('cat /home/guide/.ssh/authorized_keys'), new RegExp(KEY.replaceAll('+', '\\+')))
    // The agent waits at the metadata server for this.
    await gcloud('client', 'project-info', 'add-metadata', `--metadata=ssh-keys=later:${KEY} later`)
    await eventually('the user of the project is there', has('later'))
    const keys = await lab.exec(
      'my-backend',
      'curl',
      '-sf',
      '-H',
      'Metadata-Flavor: Google',
      `${V1}/instance/guest-attributes/hostkeys/`,
    )
    assert.match(keys, /^ssh-ed25519$/m)
  })

  const noSsh = without('/usr/sbin/sshd', 'openssh-server') || noRunner
  test('gcloud opens a shell on an instance and copies files, by ssh as it is, and not by a tunnel', {
    skip: noSsh,
  }, async () => {
    const ssh = ['compute', 'ssh', 'visitor@my-backend', ...zone, '--quiet']
    const says = await lab.exec('client', 'gcloud', ...ssh, '--command', 'hostname; id -nG; echo $SSH_CONNECTION')
    assert.match(says, /^my-backend\n.*google-sudoers.*\n209\.52\.88\.4 \d+ 10\.128\.0\.2 22$/m)
    const copy = `echo hello >/tmp/file && gcloud compute scp /tmp/file visitor@my-backend:/tmp/copy ${zone.join(' ')} --quiet`
    await lab.exec('client', 'sh', '-c', copy)
    assert.equal(await onBackend('stat -c %U /tmp/copy && cat /tmp/copy'), 'visitor\nhello\n')
    const tunnel = lab.exec('client', 'gcloud', ...ssh, '--tunnel-through-iap', '--command', 'true')
    await assert.rejects(tunnel, /The lab has no tunnels: the instance can be reached without --tunnel-through-iap/)
  })

  test('cloud-init takes the instance for one of Google’s', {
    skip: without('/usr/bin/cloud-init', 'cloud-init'),
  }, async () => {
    await onBackend('echo "datasource_list: [ GCE ]" >/etc/cloud/cloud.cfg.d/95_gce.cfg && cloud-init init')
    const query = (what: string) => onBackend(`cloud-init query ${what}`)
    assert.equal(await query('cloud_name'), 'gce\n')
    assert.equal(await query('availability_zone'), 'us-central1-b\n')
    const metadata = JSON.parse(await query('ds.meta_data'))
    const { id } = (await lab.ask('GET', '/compute/v1/projects/truepeer/zones/us-central1-b/instances/my-backend'))
      .body as { readonly id: string }
    assert.equal(metadata['instance-id'], id)
    assert.equal(metadata['local-hostname'], 'my-backend.us-central1-b.c.truepeer.internal')
    assert.ok(metadata['public-keys-data'].some((key: string) => key.startsWith('guide:')))
  })

  const noPython = without(`${PYTHON_PACKAGES}/google/auth`, 'python3-google-auth')
  test('Python’s google-auth has credentials that the API takes', { skip: noPython }, async () => {
    const program = `
import google.auth, google.auth.transport.requests
credentials, project = google.auth.default(scopes=["https://www.googleapis.com/auth/compute"])
session = google.auth.transport.requests.AuthorizedSession(credentials)
answer = session.get("https://compute.googleapis.com/compute/v1/projects/%s/aggregated/instances" % project)
print(project, credentials.service_account_email, answer.status_code, len(answer.json()["items"]) > 0)
`
    const printed = await lab.exec('client', '/usr/bin/python3', '-c', program)
    assert.match(printed, /^truepeer \d+-compute@developer\.gserviceaccount\.com 200 True$/m)
  })

  const noNode = without(`${NODE_PACKAGES}/gcp-metadata`, 'gcp-metadata (npm)')
  test('node’s gcp-metadata and google-auth-library do, too', { skip: noNode }, async () => {
    const program = `
      const metadata = require('/opt/truepeer/${NODE_PACKAGES}/gcp-metadata')
      const { GoogleAuth } = require('/opt/truepeer/${NODE_PACKAGES}/google-auth-library')
      const main = async () => {
        const auth = new GoogleAuth({ scopes: 'https://www.googleapis.com/auth/compute' })
        const project = await auth.getProjectId()
        const client = await auth.getClient()
        const url = 'https://compute.googleapis.com/compute/v1/projects/' + project + '/zones/us-central1-b/instances'
        const { data } = await client.request({ url })
        const id = await metadata.instance('id')
        console.log(await metadata.isAvailable(), project, data.items[0].name, data.items[0].id === id.toString())
      }
      main().catch((error) => { console.error(error); process.exit(1) })`
    assert.equal(await lab.exec('my-backend', 'node', '--eval', program), 'true truepeer my-backend true\n')
  })
})
