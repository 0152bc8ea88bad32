import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Mapping } from '../../compute/json-value.ts'
import { TestApi } from '../api/test-api.ts'

const [B, C] = ['zones/us-central1-b', 'zones/us-central1-c']

async function apiWithGroups(...paths: readonly string[]): Promise<TestApi> {
  const api = new TestApi()
  for (const path of paths) {
    const [, zone, name] = /^(zones\/[^/]+)\/(.*)$/.exec(path) ?? []
    await api.change('POST', `${zone}/instanceGroups`, { name })
  }
  return api
}

/** What a backend service makes of a link to a group, behind the project. */
async function resolved(api: TestApi, group: string): Promise<string> {
  await api.change('POST', 'global/backendServices', { name: 's', backends: [{ group }] })
  const { backends } = await api.get('global/backendServices/s')
  await api.change('DELETE', 'global/backendServices/s')
  return String((backends as readonly Mapping[])[0].group).replace('http://h/compute/v1/projects/p/', '')
}

function refused(api: TestApi, group: string): Promise<string> {
  return api.refusal('POST', 'global/backendServices', { name: 's', backends: [{ group }] })
}

test('a link may be a name alone, where only one resource has it, or a path with or without a host', async () => {
  const api = await apiWithGroups(`${B}/g`, `${C}/h`)
  for (const link of [
    'g',
    `${B}/instanceGroups/g`,
    `projects/p/${B}/instanceGroups/g`,
    `https://www.googleapis.com/compute/v1/projects/p/${B}/instanceGroups/g`,
    // The host means nothing.
    `http://elsewhere/compute/v1/projects/p/${B}/instanceGroups/g`,
    `//elsewhere/projects/p/${B}/instanceGroups/g`,
    `projects/${(await api.get('')).id}/${B}/instanceGroups/g`,
  ]) {
    assert.equal(await resolved(api, link), `${B}/instanceGroups/g`, link)
  }
  assert.equal(await resolved(api, 'h'), `${C}/instanceGroups/h`)
})

test('a link to another project is refused in Google’s words, whatever its form and whether there is such a resource', async () => {
  const api = await apiWithGroups(`${B}/g`)
  for (const start of ['', 'https://www.googleapis.com/compute/v1/', '//elsewhere/']) {
    for (const project of ['q', '123456789012']) {
      const link = `${start}projects/${project}/${B}/instanceGroups/g`
      const expected = `400 invalid: Invalid value for field 'resource.backends[0].group': '${link}'. Cross project referencing is not allowed for this resource.`
      assert.equal(await refused(api, link), expected)
    }
  }
  const check = await api.refusal('POST', 'global/backendServices', {
    name: 's',
    healthChecks: ['projects/q/global/healthChecks/hc'],
  })
  assert.match(check, /^400 invalid: .*'resource\.healthChecks\[0\]'.*Cross project referencing is not allowed/)
  const policy = await api.refusal('POST', 'global/backendServices', {
    name: 's',
    serviceLbPolicy: '//networkservices.googleapis.com/projects/q/locations/global/serviceLbPolicies/pol',
  })
  assert.match(policy, /^400 invalid: .*'resource\.serviceLbPolicy'.*Cross project referencing is not allowed/)
})

test('a name that more than one resource has is not guessed', async () => {
  const api = await apiWithGroups(`${B}/g`, `${C}/g`)
  assert.match(await refused(api, 'g'), /^400 invalid: .*'resource\.backends\[0\]\.group'.*more than one.*give .* or /)
  assert.equal(await resolved(api, `${C}/instanceGroups/g`), `${C}/instanceGroups/g`)
})

test('a link that names a place means nothing elsewhere', async () => {
  const api = await apiWithGroups(`${B}/g`)
  assert.match(await refused(api, `${C}/instanceGroups/g`), /^404 notFound: .*zones\/us-central1-c\/instanceGroups\/g/)
  assert.match(await refused(api, 'none'), /^404 notFound/)
})

test('a link to a resource of another kind is refused', async () => {
  const api = await apiWithGroups(`${B}/g`)
  assert.match(await refused(api, 'global/healthChecks/g'), /^400 invalid: .*instanceGroups/)
})

test('the own scope comes before global', async () => {
  const api = new TestApi()
  const check = { name: 'hc', type: 'TCP', tcpHealthCheck: {} }
  await api.change('POST', 'global/healthChecks', check)
  const service = { name: 's', healthChecks: ['hc'] }
  const checkOf = async (scope: string): Promise<unknown> => {
    await api.change('POST', `${scope}/backendServices`, service)
    return ((await api.get(`${scope}/backendServices/s`)).healthChecks as readonly unknown[])[0]
  }
  const base = 'http://h/compute/v1/projects/p'
  assert.equal(await checkOf('regions/us-east1'), `${base}/global/healthChecks/hc`)
  await api.change('POST', 'regions/us-central1/healthChecks', check)
  assert.equal(await checkOf('regions/us-central1'), `${base}/regions/us-central1/healthChecks/hc`)
  assert.equal(await checkOf('global'), `${base}/global/healthChecks/hc`)
})

test('of networks there is one', async () => {
  const api = new TestApi()
  const instance = (network: string) => ({ name: 'vm', networkInterfaces: [{ network }] })
  const refusal = await api.refusal('POST', `${B}/instances`, instance('global/networks/other'))
  assert.match(refusal, /^404 notFound: .*networks\/other/)
  await api.change('POST', `${B}/instances`, instance('default'))
})
