/** Stops at the next dashes, so that a text of nothing but beginnings is read once. */
const CERTIFICATE = /-----BEGIN CERTIFICATE-----(?:(?!-----)[\s\S])*-----END CERTIFICATE-----/g

/** The certificates of a text in PEM (RFC 7468), each as it is there; whether one can be read is not known yet. */
export function pemCertificates(text: string): readonly string[] {
  return text.match(CERTIFICATE) ?? []
}
