// Texts in commands that git hands to a shell.

/** The text as one word of a shell; one that no shell would change stays readable. */
export function shellQuote(text: string): string {
  return /^[A-Za-z0-9_./:@%+=~-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
