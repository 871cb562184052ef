// What may stand at the cursor.

export interface Candidate {
  word: string
  /** What it is, for shells that show it; may be empty. */
  description: string
}
