// How much memory the process takes. Node lets its young generation grow to 16 MiB twice, which suits servers: a
// sync that polls for days goes from 82 to 150 MiB resident by that alone. It is a guest in other people's pods, so
// it collects more often instead (1,200 polls: 78 MiB; 8 updates of 5,000 files: 87 in place of 116 MiB).
import { setFlagsFromString } from 'node:v8'

/** To be called before anything else; costs no time that can be measured. */
export function keepMemorySmall(): void {
  setFlagsFromString('--max-semi-space-size=1')
  // Without it the limit holds for new spaces only: 74 → 135 MiB over the same polls.
  setFlagsFromString('--semi-space-growth-factor=1')
}

/** Compiled code is kept small too. Not at the start, where it would cost 20 ms. */
export function preferSizeToSpeed(): void {
  setFlagsFromString('--optimize-for-size')
}
