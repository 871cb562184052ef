import fc from 'fast-check'
import { expect, test } from 'vitest'
import { timeZone } from '../../../scheduler/timetable/time-zone.ts'

const names = Intl.supportedValuesOf('timeZone')

/** What a clock on the wall reads, by another way than the code under test: text of the Swedish locale is ISO. */
function wallOf(name: string, instant: number): number {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: name, dateStyle: 'short', timeStyle: 'medium' })
  return Date.parse(`${format.format(instant).replace(' ', 'T')}Z`)
}

test('spans read the clock of every zone as Intl does, at any second', () => {
  const seconds = fc.integer({ min: Date.UTC(1975, 0) / 1_000, max: Date.UTC(2040, 0) / 1_000 })
  fc.assert(
    fc.property(fc.constantFrom(...names), seconds, (name, second) => {
      const span = timeZone(name).spanAt(second * 1_000)
      expect(span.start).toBeLessThanOrEqual(second * 1_000)
      expect(span.end).toBeGreaterThan(second * 1_000)
      for (const instant of [span.start, second * 1_000, span.end - 1_000]) {
        expect(instant + span.offset).toBe(wallOf(name, instant))
      }
      expect(timeZone(name).spanAt(span.end).start).toBe(span.end)
      expect(timeZone(name).spanAt(span.start - 1).end).toBe(span.start)
    }),
    { numRuns: 400 },
  )
})

test('a change of the clock is found to the second', () => {
  const span = timeZone('Europe/Berlin').spanAt(Date.UTC(2026, 5))
  expect(new Date(span.start).toISOString()).toBe('2026-03-29T01:00:00.000Z')
  expect(new Date(span.end).toISOString()).toBe('2026-10-25T01:00:00.000Z')
  expect(span.offset).toBe(2 * 3_600_000)
})

test('a pause of summer time that is shorter than five weeks is found', () => {
  const offsets = new Set<number>()
  for (let at = Date.UTC(2024, 2, 1); at < Date.UTC(2024, 4, 1); ) {
    const span = timeZone('Africa/Casablanca').spanAt(at)
    offsets.add(span.offset)
    at = span.end
  }
  expect([...offsets]).toEqual([3_600_000, 0])
})

test('a misspelt zone gets the nearest name', () => {
  expect(() => timeZone('Europe/Berlim')).toThrow("Did you mean 'Europe/Berlin'?")
})
