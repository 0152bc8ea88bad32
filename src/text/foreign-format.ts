// What a file is that should be something else: whoever names one by mistake is told which he has named.

/** A format, and nothing of the text, which may be a secret. */
export type ForeignFormat = {
  /** Goes on after "it is". */
  readonly what: string
  /** How it becomes a certificate or key that can be used; undefined: another file is needed. */
  readonly remedy?: string
}

type Row = readonly [pattern: RegExp, what: string, remedy?: string]

/** How a SEQUENCE begins (X.690): 0x30 and its length. What is no UTF-8 has become U+FFFD, and two bytes may be one character. */
const SEQUENCE = String.raw`^0(?:[\0-\x7f]|\ufffd[^]{0,2}?)`

/** Formats that are no text for people, by their first characters. */
const BINARY: readonly Row[] = [
  [new RegExp(String.raw`${SEQUENCE}\x02\x01\x03`), 'PKCS #12', 'convert it with "openssl pkcs12 -noenc -in FILE"'],
  [
    new RegExp(String.raw`${SEQUENCE}\x02\x01[\0\x01]`),
    'a private key in DER',
    'convert it with "openssl pkey -inform DER -in FILE -out key.pem"',
  ],
  [
    new RegExp(String.raw`${SEQUENCE}0(?:\ufffd|[\0-\x1f])`),
    'a certificate in DER',
    'convert it with "openssl x509 -inform DER -in FILE -out cert.pem"',
  ],
  [/^[^\n]{0,8}[\0\ufffd]/, 'binary data'],
]

/** What a block of PEM (RFC 7468) is, by its label. */
const LABELS: readonly Row[] = [
  [/^OPENSSH PRIVATE KEY$/, 'a private key of OpenSSH', 'convert it with "ssh-keygen -p -m PEM -f FILE"'],
  [/PRIVATE KEY$/, 'a private key in PEM'],
  [/PUBLIC KEY$/, 'a public key in PEM'],
  [/CERTIFICATE REQUEST$/, 'a certificate request in PEM', 'give the certificate that was issued for it'],
  [/CERTIFICATE$/, 'a certificate in PEM'],
  [/^(?:PKCS7|CMS)$/, 'PKCS #7 in PEM', 'convert it with "openssl pkcs7 -print_certs -in FILE -out cert.pem"'],
]

/** The format of a text that should be in another one; undefined: it is none of those that are known here. */
export function foreignFormat(text: string): ForeignFormat | undefined {
  const [, label] = /^\s*-----BEGIN ([A-Z0-9 ]{1,40})-----/.exec(text) ?? []
  const row =
    label === undefined
      ? BINARY.find(([pattern]) => pattern.test(text))
      : LABELS.find(([pattern]) => pattern.test(label))
  if (row === undefined) return undefined
  const [, what, remedy] = row
  return remedy === undefined ? { what } : { what, remedy }
}
