import type { LoadReport } from '../../proxy-protocol/load-report.ts'

/** What came of one question for the load of a host; `nothing`: this process or host was at fault. */
export type LoadAnswer =
  | { readonly kind: 'load'; readonly load: LoadReport }
  | { readonly kind: 'no-answer' }
  | { readonly kind: 'nothing' }
