// Colours and emphasis. Whether a stream takes them is asked once; what renders text gets a Style and stays a
// pure function.
import { styleText } from 'node:util'

/** A format of node:util's styleText. */
export type Format = Exclude<Parameters<typeof styleText>[0], readonly unknown[]>

/** The text in that format, or as it is. */
export type Style = (format: Format, text: string) => string

/** For files, pipes and tests. */
export const plain: Style = (_format, text) => text

/** Colours where `stream` is a terminal, unless NO_COLOR is set; FORCE_COLOR sets them elsewhere too. */
export function createStyle(stream: NodeJS.WriteStream): Style {
  const takesColours = styleText('bold', 'x', { stream }) !== 'x'
  return takesColours ? (format, text) => styleText(format, text, { validateStream: false }) : plain
}
