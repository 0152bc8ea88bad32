import type { EdgeTls } from '../controller/model/world.ts'
import { certificateProblems } from '../edge/frontends/certificate-problems.ts'
import { tlsProblems } from '../edge/frontends/frontend-tls.ts'
import { unavailableSuites } from '../tls/context.ts'

/** What edges do with certificates and SSL policies, by asking the code of an edge and the OpenSSL that both run with. */
export function edgeTls(): EdgeTls {
  return {
    certificateProblems: (checked) => certificateProblems([checked]),
    refusedIn: tlsProblems,
    unavailableFeatures: unavailableSuites(),
  }
}
