// Programs of others in the machines of a lab, as their users run them: what Google's storage, metadata server and names
// are for them.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { after, before, suite, test } from 'node:test'
import { type RunningLab, startLab } from '../rig/lab.ts'

const NODE_PACKAGES = 'build/clients/node_modules'
const without = (path: string, name: string) => (existsSync(path) ? false : `${name} is not installed`)
const skip = without('/usr/bin/gcloud', 'gcloud')

suite('programs of others in a lab', { skip }, () => {
  let lab: RunningLab
  const onClient = (script: string) => lab.exec('client', 'bash', '-ec', script)

  before(async () => {
    lab = await startLab('foreign')
  })
  after(() => lab.down())

  test('gcloud storage and gsutil put, move, list and remove what an upload of any kind has brought', async () => {
    const script = `
      cd /tmp
      head -c 20000000 /dev/urandom >large
      gcloud storage buckets create gs://mine
      # Large enough for a resumable upload.
      gcloud storage cp large gs://mine/folder/large
      gcloud storage mv gs://mine/folder/large gs://mine/moved
      gcloud storage cp gs://mine/moved copy
      cmp large copy
      echo hello | gcloud storage cp - gs://mine/stdin
      gsutil -q cp /etc/hostname gs://mine/by-gsutil
      gsutil ls gs://mine
      gcloud storage cat gs://mine/stdin gs://mine/by-gsutil
      gcloud storage rm -r gs://mine
      gcloud storage ls`
    const printed = await onClient(script)
    assert.equal(
      printed,
      `gs://mine/by-gsutil\ngs://mine/moved\ngs://mine/stdin\nhello\nclient\ngs://startup-script-proxy/\n`,
    )
    const remove = onClient('gcloud storage rm gs://startup-script-proxy/gommproxy-startup.bash')
    await assert.rejects(remove, /one of the lab's own/)
  })

  test('shutdown scripts run before an instance stops or is deleted, for a while, and not before a reset', async () => {
    const zone = '--zone us-central1-b'
    const script = `
      cd /tmp
      printf '#!/bin/bash\\necho "down with $(hostname)"; sleep 2; echo gone; exit 7' >down.sh
      gcloud compute instances create vm ${zone} --metadata-from-file shutdown-script=down.sh
      gcloud compute instances reset vm ${zone}
      gcloud compute instances stop vm ${zone}
      gcloud compute instances get-serial-port-output vm ${zone}
      gcloud compute instances start vm ${zone}
      gcloud compute instances delete vm ${zone} --quiet`
    const printed = await onClient(script)
    const [serial] = /vm has started.*?vm is stopping/s.exec(printed) ?? []
    assert.ok(serial)
    const starts = serial.split('vm has started')
    assert.equal(starts.length, 3)
    assert.doesNotMatch(starts[1], /shutdown/)
    assert.match(
      starts[2],
      /^shutdown-script: down with vm\n.*gone\n.*exit status 7\nFinished running shutdown scripts\.$/m,
    )
  })

  test('an API that the lab has not is refused in words, and not by a name that nobody knows', async () => {
    for (const command of ['projects list', 'compute os-login describe-profile', 'iam service-accounts list'])
      await assert.rejects(onClient(`gcloud ${command}`), /The lab has nothing for ".+\.googleapis\.com"/)
  })

  const noAuth = without(`${NODE_PACKAGES}/google-auth-library`, 'google-auth-library (npm)')
  test('identity tokens are what google-auth-library verifies, as gcloud prints them, too', {
    skip: noAuth,
  }, async () => {
    const program = `
      const { GoogleAuth, OAuth2Client } = require('/opt/truepeer/${NODE_PACKAGES}/google-auth-library')
      const main = async () => {
        const audience = 'https://app.example'
        const auth = new GoogleAuth()
        const idToken = await (await auth.getIdTokenClient(audience)).idTokenProvider.fetchIdToken(audience)
        const client = new OAuth2Client()
        const payload = (await client.verifyIdToken({ idToken, audience })).getPayload()
        const printed = (await client.verifyIdToken({ idToken: process.argv[1], audience: 'for-gcloud' })).getPayload()
        const { email } = await client.getTokenInfo(await auth.getAccessToken())
        const wrong = await client.verifyIdToken({ idToken, audience: 'other' }).catch(({ message }) => message)
        console.log(payload.email === email, printed.email === email, printed.google.compute_engine.instance_name, wrong)
      }
      main().catch((error) => { console.error(error); process.exit(1) })`
    const printed = await lab.exec(
      'client',
      'bash',
      '-ec',
      'node --eval "$0" -- "$(gcloud auth print-identity-token --audiences=for-gcloud --token-format=full)"',
      program,
    )
    assert.match(printed, /^true true client Wrong recipient/)
  })

  const noStorage = without(`${NODE_PACKAGES}/@google-cloud/storage`, '@google-cloud/storage (npm)')
  test('node’s @google-cloud/storage trusts what it has read and written', { skip: noStorage }, async () => {
    const program = `
      const { Storage } = require('/opt/truepeer/${NODE_PACKAGES}/@google-cloud/storage')
      const main = async () => {
        const storage = new Storage()
        const [script] = await storage.bucket('startup-script-proxy').file('gommproxy-startup.bash').download()
        const [bucket] = await storage.createBucket('of-node')
        await bucket.file('a/text').save('hello', { resumable: false, contentType: 'text/plain' })
        await bucket.file('large').save(Buffer.alloc(9000000, 7), { resumable: true })
        const [metadata] = await bucket.file('a/text').setMetadata({ metadata: { key: 'value' } })
        const [files] = await bucket.getFiles()
        const [large] = await bucket.file('large').download()
        await bucket.deleteFiles()
        await bucket.delete()
        const names = files.map(({ name }) => name)
        console.log(JSON.stringify([script.length, metadata.contentType, metadata.metadata, names, large.length]))
      }
      main().catch((error) => { console.error(error); process.exit(1) })`
    const { length } = readFileSync('buckets/startup-script-proxy/gommproxy-startup.bash')
    const expected = [length, 'text/plain', { key: 'value' }, ['a/text', 'large'], 9_000_000]
    assert.deepEqual(JSON.parse(await lab.exec('client', 'node', '--eval', program)), expected)
  })
})
