import { test } from 'node:test'
import { changeCertificatesUnderLoad } from './tls-churn.ts'

test('certificates are changed 8 times under handshakes: none fails', async (t) => {
  await changeCertificatesUnderLoad(t, { changes: 8, handshakesPerSecond: 25, between: 6 })
})
