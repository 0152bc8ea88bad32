/** Looks like a certificate chain, and is none. */
export const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBszCCAVmgAwIBAgIUZm9yIHRlc3RzIG9ubHkgbm90IGEgcmVhbCBjZXJ0MAoG
CCqGSM49BAMCMA8xDTALBgNVBAMMBHRlc3QwHhcNMjYwMTAxMDAwMDAwWhcNMzYw
-----END CERTIFICATE-----`

/** Looks like a private key, and is none. */
export const PRIVATE_KEY = `-----BEGIN PRIVATE KEY-----
bm90IGEga2V5OiBqdXN0IGxldHRlcnMgdGhhdCBhIHRlc3QgbG9va3MgZm9yIQab
-----END PRIVATE KEY-----`
