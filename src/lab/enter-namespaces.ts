/**
 * The shell that waits for the program, as only a child of it can be in another PID namespace. nsenter(1) can wait itself,
 * but stops when the program is stopped, and who is stopped reaps nobody: the namespace would never end. Ctrl-Z stops the
 * program, and Ctrl-C is for it to act on; what shells say of signals is for nobody.
 */
const WAIT = `
trap '' TSTP TTIN TTOU
trap : INT QUIT
exec 3>&2 2>/dev/null
(trap - TSTP TTIN TTOU; exec "$@" 2>&3 3>&-)
exit $?
`

/**
 * The words that run a command in other namespaces, among them that of PIDs. The exit status is that of the command, or
 * 128 and the number of the signal that has ended it, as with shells.
 *
 * @param namespaces options of nsenter(1)
 */
export function inNamespaces(namespaces: readonly string[], command: readonly string[]): readonly string[] {
  return ['nsenter', '--no-fork', ...namespaces, '--', 'sh', '-c', WAIT, 'sh', ...command]
}
