// For tests: members of one group that may be chosen, or not.
import { Members } from './members.ts'

export type TestMembers = Members & { show(mayBeChosen: (place: number) => boolean): void }

/** So many of them, all to be chosen. The id of each is another number than its place. */
export function groupMembers(count: number): TestMembers {
  const ids = Int32Array.from({ length: count }, (_, place) => 3 + 2 * place)
  const members = Object.assign(new Members(ids, new Int32Array(3 + 2 * count)), {
    show(mayBeChosen: (place: number) => boolean): void {
      members.empty()
      for (let place = 0; place < count; place++) if (mayBeChosen(place)) members.add(place)
    },
  })
  members.show(() => true)
  return members
}

/** Names as those of instances of one group. */
export function memberNames(count: number): string[] {
  return Array.from({ length: count }, (_, place) => `us-central1-b/mail-${place.toString(36).padStart(4, '0')}`)
}
