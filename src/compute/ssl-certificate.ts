import type { ProblemCode } from './problem.ts'
import { defineResource } from './resource.ts'
import { object, oneOf, optional, outputOnly, text, unsupported } from './schema.ts'
import { serverDefaults } from './server-defaults.ts'

const PEM_LENGTH_MAX = 1 << 20

const pemFields = {
  certificate: optional(
    text("The certificate chain in PEM, the server's certificate first.", {
      format: 'certificate-pem',
      maxLength: PEM_LENGTH_MAX,
    }),
  ),
  privateKey: optional(
    text('The private key in PEM. It is shown neither in messages nor by a server.', {
      format: 'private-key-pem',
      maxLength: PEM_LENGTH_MAX,
      writeOnly: true,
    }),
  ),
} as const

/** SSL certificates (`compute#sslCertificate`). Once checked, chain and key are at the top. */
export const sslCertificates = defineResource(
  {
    kind: 'compute#sslCertificate',
    scopes: ['global', 'region'],
    description: 'A certificate chain and its private key.',
  },
  {
    ...pemFields,
    type: oneOf('Who renews the certificate.', ['SELF_MANAGED'], {
      default: serverDefaults.sslCertificates.type,
      unsupported: ['MANAGED', 'TYPE_UNSPECIFIED'],
      remedy: 'give SELF_MANAGED with certificate and privateKey',
    }),
    selfManaged: optional(object('The chain and the key in another form; they are kept at the top.', pemFields)),
    managed: unsupported('Certificate that a server obtains.', [], 'remove it and give certificate and privateKey'),
    subjectAlternativeNames: outputOnly('Names in the certificate.'),
    expireTime: outputOnly('When the certificate ends.'),
  },
  {
    rules: (rule) => [
      rule(['certificate', 'privateKey', 'selfManaged'], ({ selfManaged = {}, ...top }, report) => {
        for (const field of ['certificate', 'privateKey'] as const) {
          const [problem, remedy, code] = pemProblem(field, top[field], selfManaged[field])
          if (problem !== '') report(field, problem, remedy, code)
        }
      }),
    ],
    normalize: ({ selfManaged = {}, ...certificate }) => ({ ...selfManaged, ...certificate }),
  },
)

function pemProblem(field: string, top: string | undefined, inside: string | undefined): [string, string, ProblemCode] {
  if (top !== undefined && inside !== undefined && top.trim() !== inside.trim()) {
    return [`${field} and selfManaged.${field} differ`, 'remove one of them', 'conflict']
  }
  if (top !== undefined || inside !== undefined) return ['', '', 'invalid']
  const remedy = field === 'privateKey' ? 'add the key in PEM: gcloud does not print it' : 'add the chain in PEM'
  return [`${field} is missing`, remedy, 'required']
}
