// The first code of the process: what signals would do to it while the program is still being loaded.

const [, , command, next = '-'] = process.argv

// In place of node's handler, which would open an inspector for every local user; see bin/truepeer for the time before.
process.on('SIGUSR1', () => {})
// A reload that is asked for before the configuration has been read needs nothing, and must not end what is starting.
if (['edge', 'agent', 'controller'].includes(command) && next.startsWith('-')) process.on('SIGHUP', () => {})

await import('./truepeer.ts')
