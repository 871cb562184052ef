// YAML in and out: kubeconfig files, pod templates, rendered pods. The only file that imports the `yaml` package.
// Texts are read as YAML 1.2 (`no` is a string, keys are unique) but for octal numbers, which kubectl reads as YAML 1.1
// has them: `defaultMode: 0400`. What is written is quoted wherever either of the two would take a text for something
// else. A fault names file, line and column.
import {
  Document,
  isCollection,
  isNode,
  isPair,
  isScalar,
  LineCounter,
  parseDocument,
  parseAllDocuments as readAllDocuments,
  type ScalarTag,
  stringify,
} from 'yaml'
import { ConfigError } from '../runtime/errors.ts'

const octalOf = (test: RegExp): ScalarTag => ({
  identify: () => false,
  default: true,
  tag: 'tag:yaml.org,2002:int',
  test,
  resolve: (text) => Number.parseInt(text.replace('o', ''), 8),
})

const reading = {
  prettyErrors: true,
  customTags: (tags: readonly unknown[]) => [octalOf(/^[-+]?0[0-7]+$/), ...tags] as ScalarTag[],
}

const writing = {
  version: '1.1',
  customTags: (tags: readonly unknown[]) => [octalOf(/^[-+]?0o[0-7]+$/), ...tags] as ScalarTag[],
  lineWidth: 0,
  aliasDuplicateObjects: false,
} as const

/**
 * The value of a YAML (or JSON) text with one document; null for an empty one.
 * @param source what the text is, for the message: a file's path
 * @throws ConfigError where it is no YAML, with the line
 */
export function parseYaml(text: string, source: string): unknown {
  const document = parseDocument(text, reading)
  return contentOf(document, source)
}

/**
 * The values of all documents of a text, empty ones left out.
 * @throws ConfigError where it is no YAML, with the line
 */
export function parseYamlDocuments(text: string, source: string): unknown[] {
  const documents = readAllDocuments(text, reading)
  return ('empty' in documents ? [] : documents)
    .map((document) => contentOf(document, source))
    .filter((value) => value !== null && value !== undefined)
}

/** What a text says, and where. */
export interface YamlLines {
  value: unknown
  /** Line of what is at `path`, or of what it would be in; 1 for the first. */
  lineOf(...path: (string | number)[]): number
}

/**
 * As `parseYaml`, with the lines of what is there: for those who judge it.
 * @throws ConfigError where it is no YAML, with the line
 */
export function parseYamlWithLines(text: string, source: string): YamlLines {
  const lines = new LineCounter()
  const document = parseDocument(text, { ...reading, lineCounter: lines })
  const value = contentOf(document, source)
  return {
    value,
    lineOf(...path) {
      for (let length = path.length; length >= 0; length -= 1) {
        const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true)
        if (isNode(node) && node.range) return lines.linePos(node.range[0]).line
      }
      return 1
    },
  }
}

/** A value as one YAML document, without line folding and without anchors, so that it can be compared line by line. */
export function toYaml(value: unknown): string {
  return stringify(value, writing)
}

/** The same with a comment behind each text, number and truth value; none where it is ''. @param commentOf of the value at a path */
export function toCommentedYaml(value: unknown, commentOf: (path: (string | number)[]) => string): string {
  const document = new Document(value, writing)
  const comment = (node: unknown, path: (string | number)[]): void => {
    if (isCollection(node)) {
      for (const [index, item] of node.items.entries()) {
        if (isPair(item)) comment(item.value, [...path, isScalar(item.key) ? String(item.key.value) : ''])
        else comment(item, [...path, index])
      }
    } else if (isScalar(node)) {
      const text = commentOf(path)
      if (text !== '') node.comment = ` ${text}`
    }
  }
  comment(document.contents, [])
  return document.toString(writing)
}

function contentOf(document: ReturnType<typeof parseDocument>, source: string): unknown {
  const [fault] = document.errors
  if (fault !== undefined)
    throw new ConfigError(`${source} is not YAML: ${fault.message.trim()}`, { cause: fault })
  return document.toJS()
}
