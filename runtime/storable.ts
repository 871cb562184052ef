// What Postgres can keep of what user code made. Its text holds no NUL and no half of a surrogate pair, and its
// JSON no nesting that its stack cannot follow. One value that it refuses would refuse the whole commit or load that
// carries it, and with it everybody else's, again and again; so values are made fit, or refused alone, where they
// come in.

const nul = '\0'
const replacement = '\ufffd'

/** `text` with U+FFFD for each character that Postgres cannot keep. */
export function storableText(text: string): string {
  return text.replaceAll(nul, replacement).toWellFormed()
}

/** Postgres' own limit is its stack, 2 MB by default: some 6,000 levels. */
const maxJsonDepth = 1_000

/** Why Postgres could not keep `text` as json, or null where it can. */
export function jsonFault(text: string): string | null {
  try {
    JSON.parse(text)
  } catch {
    return 'is not JSON'
  }
  return text.length > maxJsonDepth && depthOf(text) > maxJsonDepth
    ? `is nested more than ${maxJsonDepth} levels deep`
    : null
}

/** An escape (after an even number of backslashes) of what text cannot hold; JSON.stringify writes such in lower case. */
const unstorableEscape = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/

/** The same for jsonb, which unescapes what json leaves as it is. @param text as JSON.stringify writes it */
export function jsonbFault(text: string): string | null {
  if (unstorableEscape.test(text)) return 'has text with a NUL character or half a surrogate pair'
  return jsonFault(text)
}

/** How deep objects and arrays are nested in valid JSON. By hand: a regular expression's stack ends at long texts. */
function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  let isInText = false
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]
    if (isInText) {
      if (character === '\\') at += 1
      else if (character === '"') isInText = false
    } else if (character === '"') isInText = true
    else if (character === '[' || character === '{') deepest = Math.max(deepest, ++depth)
    else if (character === ']' || character === '}') depth -= 1
  }
  return deepest
}
