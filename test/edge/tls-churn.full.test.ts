import { test } from 'node:test'
import { changeCertificatesUnderLoad } from './tls-churn.ts'

test('certificates are changed 200 times under 100 handshakes a second: none fails, and nothing grows', async (t) => {
  await changeCertificatesUnderLoad(t, { changes: 200, handshakesPerSecond: 100, between: 25 })
})
