import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { formatProblem } from './problem.ts'
import { readResources } from './read-resources.ts'
import { CERTIFICATE, PRIVATE_KEY } from './test-pem.ts'

const repository = new URL('../../../', import.meta.url)
const guide = readFileSync(new URL('docs/examples/guide.yaml', repository), 'utf8')
const described = readFileSync(new URL('src/compute/testdata/gcloud-describe.yaml', repository), 'utf8')

function linesOf(text: string): readonly string[] {
  return readResources(text, 'lb.yaml').problems.map(formatProblem)
}

function assertOneProblem(text: string, expected: RegExp): void {
  const lines = linesOf(text)
  assert.equal(lines.length, 1, lines.join('\n'))
  assert.match(lines[0], expected)
}

test('the example of the guide is read without a problem', () => {
  const { resources, problems } = readResources(guide, 'guide.yaml')
  assert.deepEqual(problems, [])
  assert.deepEqual(
    resources.map(({ collection, name }) => `${collection}/${name}`),
    [
      'instances/my-backend',
      'instanceGroups/my-instance-group',
      'healthChecks/my-tcp-health-check',
      'backendServices/my-tcp-lb',
      'targetTcpProxies/my-tcp-lb-target-proxy',
      'addresses/lb-static-ipv4',
      'forwardingRules/my-tcp-lb-ipv4-forwarding-rule',
      'firewalls/allow-lb-and-health',
    ],
  )
  const [service] = resources.filter((resource) => resource.collection === 'backendServices')
  assert.equal(service.source, 'guide.yaml')
  assert.equal(service.resource.backends[0].maxUtilization, 0.8)
})

test('what gcloud describes is read without a problem, as documents, as a list and as JSON', () => {
  const { resources, problems } = readResources(described, '')
  assert.deepEqual(problems.map(formatProblem), [])
  assert.equal(resources.length, 11)
  const [instance] = resources.filter((resource) => resource.collection === 'instances')
  assert.deepEqual(instance.scope, { kind: 'zone', zone: 'us-central1-b' })
  assert.equal(instance.resource.networkInterfaces[0].networkIP, '10.128.0.2')
  assert.ok(!('id' in instance.resource))
  assert.equal(instance.resource.status, 'RUNNING')
  const asList = described
    .replace(/^#.*\n---\n/, '')
    .split('\n---\n')
    .map((text) => `- ${text.trim().replaceAll('\n', '\n  ')}`)
  assert.deepEqual(readResources(asList.join('\n'), ''), { resources, problems: [] })
  const values = resources.map(({ collection, scope, resource }) => ({
    ...resource,
    selfLink: `https://lb.example/compute/v1/projects/p/${scope.kind === 'zone' ? `zones/${scope.zone}` : 'global'}/${collection}/x`,
  }))
  for (const indent of [undefined, 2, '\t']) {
    assert.deepEqual(readResources(JSON.stringify(values, null, indent), ''), { resources, problems: [] })
  }
})

test('a certificate as describe prints it lacks only its key', () => {
  const pem = (text: string) => `|\n  ${text.replaceAll('\n', '\n  ')}\n`
  const text = `kind: compute#sslCertificate
certificate: ${pem(CERTIFICATE)}name: my-ssl-cert
expireTime: '2027-11-22T02:10:13.000-08:00'
subjectAlternativeNames: [lb.example]
type: SELF_MANAGED
`
  assertOneProblem(text, /sslCertificates\/my-ssl-cert: privateKey: privateKey is missing; add the key in PEM/)
  assert.deepEqual(linesOf(`${text}privateKey: ${pem(PRIVATE_KEY)}`), [])
})

test('authorities that a template has left empty are refused, and not taken as "accept any certificate"', () => {
  const service = 'kind: compute#backendService\nname: b\nprotocol: SSL\ntlsSettings:\n  sni: app.example\n'
  assert.deepEqual(linesOf(service), [])
  for (const empty of ["''", '|', '']) {
    assertOneProblem(
      `${service}  certificateAuthorities: ${empty}\n`,
      /^lb.yaml: backendServices\/b: tlsSettings.certificateAuthorities: it is empty; give the authorities in PEM, or leave the field out to accept any certificate$/,
    )
  }
})

test('a resource is known by its kind or its selfLink, and the two have to agree', () => {
  const link = 'selfLink: http://127.0.0.1:18080/compute/v1/projects/p/global/addresses/a'
  assert.deepEqual(linesOf(`name: a\n${link}`), [])
  assertOneProblem('name: a', /^lb\.yaml: resource 1: kind: it is missing/)
  assertOneProblem('name: a\nkind: compute#urlMap', /resource 1: kind: "compute#urlMap" is not a kind/)
  assertOneProblem('name: a\nkind: [compute#address]', /resource 1: kind: a list is not a kind/)
  assertOneProblem(`name: a\nkind: compute#firewall\n${link}`, /resource 1: selfLink: selfLink is in addresses/)
  assertOneProblem('name: a\nselfLink: global/toString/a', /resource 1: selfLink: "toString" is not a kind/)
})

test('resources are counted through all documents, and each says by itself what is wrong', () => {
  const text = '- {kind: compute#address, name: a}\n- 3\n- [x]\n---\n---\n{kind: compute#address, name: B}\n'
  const { resources, problems } = readResources(text, 'lb.yaml')
  assert.equal(resources.length, 1)
  assert.deepEqual(problems.map(formatProblem), [
    'lb.yaml: resource 2: 3 is not a resource; give a mapping with kind and name',
    'lb.yaml: resource 3: a list is not a resource; give a mapping with kind and name',
    'lb.yaml: resource 4: name: "B" does not match ^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$; give a text, such as my-tcp-lb',
  ])
})

test('a file without a resource is a mistake, unless it says so', () => {
  for (const text of ['', '\n', '# nothing', '---\n---\n', 'null', '\ufeff'])
    assertOneProblem(text, /there is no resource/)
  assert.deepEqual(readResources('[]', ''), { resources: [], problems: [] })
})

test('what is wrong with the text is said with its line and never by quoting it', () => {
  const head = 'kind: compute#address\nname: a\n'
  assertOneProblem(`${head}name: b\n`, /line 3, column 1: the same field is given twice/)
  assertOneProblem(`${head}labels: {a: '1', "a": '2'}\n`, /line 3, column 18: the same field is given twice/)
  assertOneProblem(`${head}description: "x\n`, /a quote, a comma or a colon is missing/)
  assertOneProblem(`${head}description: !secret x\n`, /line 3, column 14: there is an unknown tag/)
  assertOneProblem(`${head}description: *x\n`, /aliases cannot be followed|an alias has no anchor/)
  assertOneProblem(`${head}1: x\n`, /addresses\/a: \["1"\]: there is no field of this name/)
  assertOneProblem(`${head}? [a, b]\n: x\n`, /the name of a field is not a text/)
  for (const text of [
    `privateKey: ${PRIVATE_KEY}`,
    `"${PRIVATE_KEY}`,
    `[${PRIVATE_KEY}`,
    `? ${PRIVATE_KEY}\n- `,
    `*${PRIVATE_KEY}`,
  ]) {
    const lines = linesOf(head + text)
    assert.ok(lines.length > 0)
    assert.doesNotMatch(lines.join('\n'), /bm90|IGEga|PRIVATE/)
  }
})

test('an anchor may be used again, but not for ever', () => {
  const text =
    '- &a {kind: compute#firewall, name: a, allowed: &tcp [{IPProtocol: tcp}]}\n- {kind: compute#firewall, name: b, allowed: *tcp}'
  assert.deepEqual(linesOf(text), [])
  const bomb = Array.from(
    { length: 12 },
    (_, i) =>
      `k${i}: &k${i} [${
        i > 0
          ? Array(9)
              .fill(`*k${i - 1}`)
              .join(',')
          : 'x'
      }]`,
  )
  assertOneProblem(bomb.join('\n'), /its aliases cannot be followed, or expand to too much/)
  assert.ok(linesOf('kind: compute#instance\nname: i\nzone: z\ndisks: &d [*d]').length > 0)
})

test('text that is nested without end, or no text at all, is a problem and nothing more', () => {
  const hostile = [
    '['.repeat(5000),
    '{"a":'.repeat(5000),
    '- '.repeat(5000),
    '? '.repeat(3000),
    '\0',
    '\ud800: \ud800',
    '%',
    '@',
    '`',
    '!!',
    '&',
    '*',
    '|',
    '>',
  ]
  for (const text of hostile) {
    const lines = linesOf(text)
    assert.ok(lines.length > 0 && lines.length < 20, JSON.stringify(text.slice(0, 9)))
    for (const line of lines) assert.ok(line.length < 1000)
  }
  const deep = `kind: compute#instance\nname: i\nzone: z\ndisks: ${'['.repeat(100)}${']'.repeat(100)}`
  assertOneProblem(deep, /instances\/i: disks: it is not plain data, or it is nested too deeply/)
})

test('a mapping of many fields is read in one pass', () => {
  const fields = Array.from({ length: 10_000 }, (_, i) => `x${i}: 1`)
  const startedAt = performance.now()
  assert.equal(linesOf(`kind: compute#address\nname: a\n${fields.join('\n')}`).length, 21)
  assert.ok(performance.now() - startedAt < 5000)
})

test('of a thousand wrong resources a hundred problems are told and the rest counted', () => {
  const text = Array.from({ length: 1000 }, () => '- {kind: compute#address}').join('\n')
  const lines = linesOf(text)
  assert.equal(lines.length, 101)
  assert.equal(lines[100], 'lb.yaml: and 900 more; fix the problems above first')
})

test('of a text that is broken the first error is told, with its cause', () => {
  const tab = 'kind: compute#healthCheck\n\tname: a\n\ttype: TCP\n- x: [\n'
  assert.deepEqual(linesOf(tab), ['lb.yaml: line 2, column 1: a tab indents the line; indent by spaces'])
  const flat = `kind: compute#sslCertificate\nname: c\ncertificate: |\n${CERTIFICATE}\nprivateKey: |\n${PRIVATE_KEY}\n`
  assert.deepEqual(linesOf(flat), [
    'lb.yaml: line 4, column 1: PEM is not indented; write "|" after the name of the field, and indent each line of the PEM',
  ])
})

test('a byte order mark is nothing, and a file of another format is named', () => {
  const marked = '\ufeffkind: compute#healthCheck\nname: a\ntype: TCP\ntcpHealthCheck: {port: 1}\n'
  assert.deepEqual(linesOf(marked), [])
  assertOneProblem(CERTIFICATE, /^lb\.yaml: it is a certificate in PEM, and neither YAML nor JSON; give a file of YAML/)
})

test('what is given in place of a certificate or a key is named', () => {
  const told = (certificate: string, privateKey: string): readonly string[] =>
    linesOf(JSON.stringify({ kind: 'compute#sslCertificate', name: 'c', certificate, privateKey }))
  for (const [certificate, key, ...says] of [
    [
      PRIVATE_KEY,
      CERTIFICATE,
      /certificate: .*; this is a private key in PEM; /,
      /privateKey: .*; this is a certificate /,
    ],
    [
      CERTIFICATE + PRIVATE_KEY,
      PRIVATE_KEY,
      /certificate: .*; give the certificates only, and the private key in a file/,
    ],
    [
      '0\ufffd\u0003%0\ufffd',
      PRIVATE_KEY,
      /certificate: .*; this is a certificate in DER; convert it with "openssl x509/,
    ],
    [
      CERTIFICATE,
      '0\ufffd\ufffd\u0002\u0001\u0000',
      /privateKey: .*; this is a private key in DER; convert it with "openssl pkey/,
    ],
    [
      'PEM OF fullchain.pem\n',
      'privkey.pem',
      /certificate: .*; give the text of the file, not its name; it begins with "-----BEGIN CERTIFICATE-----"$/,
      /privateKey: .*; give the text of the file, not its name; it begins with "-----BEGIN PRIVATE KEY-----"$/,
    ],
  ] as const) {
    const lines = told(certificate, key)
    assert.equal(lines.length, says.length, lines.join('\n'))
    for (const [index, pattern] of says.entries()) assert.match(lines[index], pattern)
  }
})
