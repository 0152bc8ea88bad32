import type { Problem } from '../../compute/problem.ts'
import type { CheckedResource } from '../../compute/resources.ts'
import { CertificateError, readCertificate } from '../../tls/certificate.ts'
import { TlsClient } from '../../tls/client.ts'

/**
 * What is wrong with certificates, keys and roots, each looked at by itself.
 *
 * The check of a resource sees only whether a text has the form of PEM; what is inside, OpenSSL has to say.
 */
export function certificateProblems(resources: readonly CheckedResource[]): Problem[] {
  return resources.flatMap((checked) => {
    switch (checked.collection) {
      case 'sslCertificates': {
        const { certificate = '', privateKey = '' } = checked.resource
        return unreadable(checked, undefined, () => readCertificate(checked.name, certificate, privateKey))
      }
      case 'backendServices': {
        const roots = checked.resource.tlsSettings?.certificateAuthorities ?? ''
        if (roots === '') return []
        const path = 'tlsSettings.certificateAuthorities'
        return unreadable(checked, path, () => new TlsClient({ serverName: '', rootsPem: roots }).close())
      }
      default:
        return []
    }
  })
}

/** Why a text of a resource cannot be read; empty: it can. @param path the field; undefined: that of the error */
function unreadable(checked: CheckedResource, path: string | undefined, read: () => unknown): Problem[] {
  const { source, collection, name } = checked
  try {
    read()
    return []
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error
    const { part, rule, remedy } = error
    return [{ source, resource: `${collection}/${name}`, path: path ?? part, code: 'invalid', rule, remedy }]
  }
}
