import { expect, test } from 'vitest'
import { parseYaml, parseYamlDocuments, toYaml } from '../../k8s/yaml.ts'

test('a text that is no YAML is refused with its source and line', () => {
  expect(() => parseYaml('a: 1\nb: [1\nc: 2\n', 'the file x.yaml')).toThrow(
    /^the file x\.yaml is not YAML: .* at line 3/s,
  )
})

test('a key that stands twice is refused', () => {
  expect(() => parseYaml('a: 1\na: 2\n', 'x.yaml')).toThrow(/x\.yaml is not YAML: Map keys must be unique/)
})

test('words that older YAML takes for booleans are strings', () => {
  expect(parseYaml('a: no\nb: on\nc: true', 'x')).toEqual({ a: 'no', b: 'on', c: true })
})

test('several documents are read, empty ones left out', () => {
  expect(parseYamlDocuments('a: 1\n---\n---\nb: 2\n', 'x')).toEqual([{ a: 1 }, { b: 2 }])
  expect(parseYamlDocuments('', 'x')).toEqual([])
})

test('what is written is read as the same value, also strings that look like something else', () => {
  const value = {
    a: 'no',
    b: '1e3',
    c: 'x: y',
    d: `${'word '.repeat(50)}end`,
    e: 'two\nlines\n',
    f: null,
    g: ['', '2026-01-01'],
  }
  expect(parseYaml(toYaml(value), 'x')).toEqual(value)
})

test('a value that is used twice is written twice, and long lines stay lines', () => {
  const shared = { x: 1 }
  expect(toYaml({ a: shared, b: shared })).toBe('a:\n  x: 1\nb:\n  x: 1\n')
  expect(toYaml({ a: 'word '.repeat(100).trim() }).split('\n')).toHaveLength(2)
})
