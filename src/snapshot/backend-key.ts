/**
 * Says which backend of a snapshot is meant, in words that mean the same in every later snapshot.
 *
 * `my-tcp-lb/us-central1-b/my-instance-group/my-backend`: the names of the service, of the group and of the backend.
 * Two services that share a group have a key each for its backends, because each connects and counts on its own.
 */
export function backendKey(service: string, group: string, backend: string): string {
  return `${service}/${group}/${backend}`
}
