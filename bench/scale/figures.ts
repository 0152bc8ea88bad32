/** What is measured, in the order of the table; `digits` behind the point. */
export const FIGURES = {
  startBytes: { title: 'start: sent to workers', unit: 'MB', digits: 3 },
  startShared: { title: 'start: shared memory given to workers', unit: 'MB', digits: 3 },
  heapWorker: { title: 'heap of a worker, after GC', unit: 'MB', digits: 1 },
  heapMain: { title: 'heap of the main thread, after GC', unit: 'MB', digits: 1 },
  resident: { title: 'resident memory of the process, after GC', unit: 'MB', digits: 0 },
  serviceBytes: { title: 'file, one field of a service: sent to workers', unit: 'MB', digits: 3 },
  serviceShared: { title: 'file, one field of a service: shared memory given', unit: 'MB', digits: 3 },
  leaveBytes: { title: 'file, one backend leaves: sent to workers', unit: 'MB', digits: 3 },
  joinBytes: { title: 'file, one backend joins: sent to workers', unit: 'MB', digits: 3 },
  sameMain: { title: 'file, nothing changed: CPU, main thread', unit: 'ms', digits: 0 },
  sameWorkers: { title: 'file, nothing changed: CPU, all workers', unit: 'ms', digits: 1 },
  sameApplied: { title: 'file, nothing changed: until applied', unit: 'ms', digits: 0 },
  serviceMain: { title: 'file, one field of a service: CPU, main thread', unit: 'ms', digits: 0 },
  serviceWorkers: { title: 'file, one field of a service: CPU, all workers', unit: 'ms', digits: 1 },
  serviceAll: { title: 'file, one field of a service: CPU, whole process', unit: 'ms', digits: 0 },
  serviceApplied: { title: 'file, one field of a service: until applied', unit: 'ms', digits: 0 },
  leaveMain: { title: 'file, one backend leaves: CPU, main thread', unit: 'ms', digits: 0 },
  leaveWorkers: { title: 'file, one backend leaves: CPU, all workers', unit: 'ms', digits: 1 },
  joinMain: { title: 'file, one backend joins: CPU, main thread', unit: 'ms', digits: 0 },
  joinWorkers: { title: 'file, one backend joins: CPU, all workers', unit: 'ms', digits: 1 },
  quietFile: { title: 'quiet, from a file: CPU, main thread', unit: 'ms/s', digits: 1 },
  quietController: { title: 'quiet, from a controller: CPU, main thread', unit: 'ms/s', digits: 1 },
  quietDifference: { title: 'quiet, controller less file: CPU, main thread', unit: 'ms/s', digits: 1 },
  controllerServiceBytes: { title: 'controller, one field of a service: sent to workers', unit: 'MB', digits: 3 },
  controllerServiceMain: { title: 'controller, one field of a service: CPU, main thread', unit: 'ms', digits: 0 },
  controllerServiceWorkers: { title: 'controller, one field of a service: CPU, all workers', unit: 'ms', digits: 1 },
  controllerServiceApplied: { title: 'controller, one field of a service: until applied', unit: 'ms', digits: 0 },
  controllerLeaveMain: { title: 'controller, one backend leaves: CPU, main thread', unit: 'ms', digits: 0 },
  controllerJoinMain: { title: 'controller, one backend joins: CPU, main thread', unit: 'ms', digits: 0 },
  visitBefore: { title: 'a connection, health unchanged: CPU, workers', unit: 'µs', digits: 1 },
  visitAfter: { title: 'a connection, one backend changed: CPU, workers', unit: 'µs', digits: 1 },
  visitDifference: { title: 'a connection, changed less unchanged: CPU, workers', unit: 'µs', digits: 1 },
  healthMain: { title: 'one backend drained or enabled: CPU, main thread', unit: 'ms', digits: 2 },
} as const

export type Figure = keyof typeof FIGURES

/** One figure of one checkout, measured once. */
export type Sample = {
  readonly checkout: string
  readonly repetition: number
  readonly figure: Figure
  readonly value: number
}

/** Takes one figure. */
export type Record = (figure: Figure, value: number) => void
