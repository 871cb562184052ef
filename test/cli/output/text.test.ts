import { expect, test } from 'vitest'
import { createLiveRegion } from '../../../cli/output/live-region.ts'
import { renderTable } from '../../../cli/output/table.ts'
import { elapsed, relativeTime, shortDuration } from '../../../cli/output/time.ts'

const esc = String.fromCharCode(27)

test.each([
  [0, '0.00s'],
  [420, '0.42s'],
  [9_990, '9.99s'],
  [9_996, '10.0s'],
  [59_940, '59.9s'],
  [59_960, '1m 00s'],
  [125_000, '2m 05s'],
  [3_599_600, '1h 00m'],
  [3_720_000, '1h 02m'],
  [86_400_000, '1d 00h'],
  [-5, '0.00s'],
])('%i ms are %s', (ms, text) => {
  expect(shortDuration(ms)).toBe(text)
})

test('what runs has taken until now, and what has not begun has taken nothing', () => {
  const start_date = '2026-01-01T00:00:00.000Z'
  expect(elapsed({ start_date, end_date: null }, Date.parse(start_date) + 2_000)).toBe('2.00s')
  expect(elapsed({ start_date, end_date: '2026-01-01T00:00:01.000Z' }, 0)).toBe('1.00s')
  expect(elapsed({ start_date: null, end_date: null }, 0)).toBe('')
})

test.each([
  [25, 'in 25s'],
  [-90, '2m ago'],
  [7_200, 'in 2h'],
  [-86_400 * 3, '3d ago'],
  [0, 'now'],
])('%i seconds from now are %s', (seconds, text) => {
  const now = Date.parse('2026-01-01T00:00:00.000Z')
  expect(relativeTime(new Date(now + seconds * 1_000).toISOString(), now)).toBe(text)
})

test('columns are aligned by what is seen, not by escape sequences', () => {
  const red = `${esc}[31mab${esc}[39m`
  expect(
    renderTable(
      [
        [red, '1', 'x'],
        ['abcd', '10', 'y'],
      ],
      { right: [1] },
    ),
  ).toEqual([`${red}     1  x`, 'abcd  10  y'])
})

/** A terminal of this test: what a person would see after these writes. */
function screenOf(writes: readonly string[]): string[] {
  const lines: string[] = []
  let row = 0
  const marked = writes
    .join('')
    .replaceAll(esc, '<esc>')
    .replaceAll(/<esc>\[\?7[lh]|\r/g, '')
  for (const [part] of marked.matchAll(/<esc>\[\d*[AKJ]|\n|(?:(?!<esc>).)+/g)) {
    if (part === '\n') row++
    else if (part === '<esc>[J') lines.splice(row)
    else if (part.endsWith('A') && part.startsWith('<esc>[')) row -= Number(part.slice('<esc>['.length, -1))
    else if (part !== '<esc>[K') lines[row] = part
  }
  return lines
}

test('a live region replaces what it drew before, also where it becomes shorter', () => {
  const writes: string[] = []
  const region = createLiveRegion((text) => writes.push(text))
  region.draw(['one', 'two', 'three'])
  region.draw(['one', 'TWO'])
  expect(screenOf(writes)).toEqual(['one', 'TWO'])
  const before = writes.length
  region.draw(['one', 'TWO'])
  expect(writes, 'nothing is written where nothing changed').toHaveLength(before)
  region.end(['done', 'and', 'all', 'of it'])
  expect(screenOf(writes)).toEqual(['done', 'and', 'all', 'of it'])
})
