// Python's client of Google's APIs, which makes itself of the controller's discovery document: the one that gcloud brings
// along, and the much older one of Debian 12.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { withController } from './gcloud.ts'

/** With -S, Python leaves out Debian's packages, which do not go together with gcloud's. */
const CLIENTS: readonly (readonly [name: string, libraries: string, ...options: readonly string[]])[] = [
  ['gcloud', '/usr/lib/google-cloud-sdk/platform/bq/third_party', '-S'],
  ['Debian', '/usr/lib/python3/dist-packages'],
]

const PROGRAM = `
import sys, time
sys.path.insert(0, sys.argv[2])
import httplib2
from googleapiclient import discovery
from googleapiclient.errors import HttpError

url = sys.argv[1]
for place in ('/discovery/v1/apis/{api}/{apiVersion}/rest', '/$discovery/rest?version={apiVersion}'):
    compute = discovery.build('compute', 'v1', http=httplib2.Http(), discoveryServiceUrl=url + place,
                              cache_discovery=False)

def done(operation):
    assert compute.globalOperations().wait(project='p', operation=operation['name']).execute()['status'] == 'DONE'

names = ['h%d' % index for index in range(3)]
answers = {}
batch = compute.new_batch_http_request(callback=lambda id, answer, error: answers.__setitem__(id, error or answer))
for name in names:
    body = {'name': name, 'type': 'TCP', 'tcpHealthCheck': {'port': 110}}
    batch.add(compute.healthChecks().insert(project='p', body=body), request_id=name)
batch.add(compute.healthChecks().get(project='p', healthCheck='none'), request_id='none')
batch.execute()
assert sorted(answers) == sorted(names + ['none']), answers
assert isinstance(answers['none'], HttpError) and answers['none'].resp.status == 404, answers
for name in names: done(answers[name])

request, seen = compute.healthChecks().list(project='p', maxResults=2, filter='name eq h.*'), []
while request is not None:
    page = request.execute()
    seen += [item['name'] for item in page.get('items', [])]
    request = compute.healthChecks().list_next(request, page)
assert seen == names, seen

service = {'name': 's', 'healthChecks': ['global/healthChecks/h0'], 'protocol': 'TCP'}
done(compute.backendServices().insert(project='p', body=service).execute())
fetched = compute.backendServices().get(project='p', backendService='s').execute()
done(compute.backendServices().patch(project='p', backendService='s',
                                     body={'timeoutSec': 60, 'fingerprint': fetched['fingerprint']}).execute())
assert compute.backendServices().get(project='p', backendService='s').execute()['timeoutSec'] == 60
done(compute.globalAddresses().insert(project='p', body={'name': 'a'}).execute())
assert compute.addresses().aggregatedList(project='p').execute()['items']['global']['addresses'][0]['name'] == 'a'
assert 'items' not in compute.disks().list(project='p', zone='us-central1-b').execute()
done(compute.backendServices().delete(project='p', backendService='s').execute())
print('ok')
`

for (const [name, libraries, ...options] of CLIENTS) {
  const skip = existsSync(`${libraries}/googleapiclient`) ? false : `the client of ${name} is not installed`
  test(`Python’s client of ${name} makes itself of the discovery document, and pages, changes and batches`, {
    skip,
  }, async () => {
    await withController(async ({ url }) => {
      const args = [...options, '-c', PROGRAM, url, libraries]
      const { stdout } = await promisify(execFile)('/usr/bin/python3', args, { timeout: 60_000 })
      assert.equal(stdout.trim(), 'ok')
    })
  })
}
