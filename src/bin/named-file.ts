import { X509Certificate } from 'node:crypto'
import { quoted, UsageError } from '../cli/flags.ts'
import { type OwnedText, readOwnedTextFile } from '../linux/text-file.ts'
import { messageOf } from '../text/error-message.ts'
import { foreignFormat } from '../text/foreign-format.ts'
import { pemCertificates } from '../tls/pem.ts'

/** What fits into a header (RFC 6750, section 2.1), and more than a token has. */
const TOKEN_FORM = /^[\w.~+/-]{1,1024}=*$/

/** Reads a file that a flag names. @throws UsageError that names both */
export function readNamedFile(flag: string, path: string): OwnedText {
  try {
    return readOwnedTextFile(path)
  } catch (error) {
    throw new UsageError(`${flag} ${quoted(path)}: the file cannot be read (${messageOf(error)}); give a readable file`)
  }
}

/** Reads the certificates in PEM by which others are verified. @throws UsageError when there is none, or one is broken */
export function readNamedRoots(flag: string, path: string): string {
  const { text } = readNamedFile(flag, path)
  const blocks = pemCertificates(text)
  if (blocks.length === 0) {
    const foreign = foreignFormat(text)
    const what = foreign === undefined ? 'it contains no certificate' : `it is ${foreign.what}, and not a certificate`
    throw new UsageError(`${flag} ${quoted(path)}: ${what}; ${foreign?.remedy ?? 'give one in PEM'}`)
  }
  for (const [index, block] of blocks.entries()) {
    try {
      new X509Certificate(block)
    } catch {
      throw new UsageError(`${flag} ${quoted(path)}: certificate ${index + 1} is damaged; copy it again`)
    }
  }
  return text
}

/**
 * Reads a bearer token.
 *
 * @throws UsageError that never repeats what is in the file, also when others can read it
 */
export function readNamedToken(flag: string, path: string): string {
  const { text, isReadableByOthers } = readNamedFile(flag, path)
  if (isReadableByOthers) {
    throw new UsageError(`${flag} ${quoted(path)} can be read by others; run "chmod 600 ${path}"`)
  }
  return checkedToken(flag, path, text)
}

/** Reads a bearer token that the service manager has passed: whoever may read it, by whatever mode, is its decision. */
export function readCredentialToken(flag: string, path: string): string {
  return checkedToken(flag, path, readNamedFile(flag, path).text)
}

function checkedToken(flag: string, path: string, text: string): string {
  const token = text.trim()
  if (TOKEN_FORM.test(token)) return token
  const foreign = foreignFormat(text)
  const what = foreign === undefined ? 'contains no token' : `is ${foreign.what}, and not a token`
  throw new UsageError(
    `${flag} ${quoted(path)} ${what}; write the output of "truepeer controller token create" into it`,
  )
}
