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
