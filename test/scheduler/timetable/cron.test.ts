import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileCron, validateCron } from '../../../scheduler/timetable/cron.ts'

const minuteMs = 60_000
const start = Date.UTC(2026, 0, 15, 10, 17, 30)

function firstTimes(expression: string, count = 40): number[] {
  const schedule = compileCron(expression)
  const times: number[] = []
  while (times.length < count) {
    const time = schedule.after(times.at(-1) ?? start)
    if (time === null) break
    times.push(time)
  }
  return times
}

test.each([
  ['@hourly', '0 * * * *'],
  ['@Daily', '0 0 * * *'],
  ['@midnight', '0 0 * * *'],
  ['@weekly', '0 0 * * 0'],
  ['@monthly', '0 0 1 * *'],
  ['@quarterly', '0 0 1 1,4,7,10 *'],
  ['@yearly', '0 0 1 1 *'],
  ['@annually', '0 0 1 1 *'],
  ['  0\t0 *  * * ', '0 0 * * *'],
  ['10-5 * * * *', '0-5,10-59 * * * *'],
  ['*/61 * * * *', '0 * * * *'],
  ['50/5 * * * *', '50,55 * * * *'],
  ['59/5 * * * *', '59 * * * *'],
  ['0 0 * * FRI-MON', '0 0 * * 0,1,5,6'],
  ['0 0 * * sat-2', '0 0 * * 0,1,2,6'],
  ['0 0 * * 5-7', '0 0 * * 0,5,6'],
  ['0 0 * * 1-7/2', '0 0 * * 0,1,3,5'],
  ['0 0 * * 7-2', '0 0 * * 0-2'],
  ['0 0 * * 0-7', '0 0 * * *'],
  ['0 0 * NOV-FEB *', '0 0 * 1,2,11,12 *'],
  ['0 0 20-L * *', '0 0 20-31 * *'],
  ['0 0 ? * MON', '0 0 * * 1'],
  ['0 0 W15 * *', '0 0 15w * *'],
  ['0 0 * * MON-WED#2', '0 0 * * 1#2,2#2,3#2'],
  ['0 0 * * L7', '0 0 * * L0'],
  ['0 0 * * * 0', '0 0 * * *'],
  ['0 0 * * * 0 *', '0 0 * * *'],
  ['05 007 * * *', '5 7 * * *'],
  // Days of month and of week unite where both are restricted, and a full list restricts too.
  ['0 0 1-31 * MON', '0 0 * * *'],
  ['0 0 1-31 * */2', '0 0 * * */2'],
  ['0 0 */2 * 0-6', '0 0 */2 * *'],
])("'%s' means '%s'", (written, plain) => {
  expect(firstTimes(written)).toEqual(firstTimes(plain))
})

test('a sixth field is for seconds and a seventh for years', () => {
  const iso = (expression: string) =>
    firstTimes(expression, 3).map((time) => new Date(time).toISOString().slice(0, 19))
  expect(iso('0 12 * * * 15,45')).toEqual([
    '2026-01-15T12:00:15',
    '2026-01-15T12:00:45',
    '2026-01-16T12:00:15',
  ])
  expect(iso('0 12 1 1 * 0 2028/30')).toEqual([
    '2028-01-01T12:00:00',
    '2058-01-01T12:00:00',
    '2088-01-01T12:00:00',
  ])
  expect(iso('0 12 1 1 * 0 2020')).toEqual([])
})

test.each([
  ['0 0 * * 1-3#6', /day of week '1-3#6' names no week of a month: use #1 to #5/],
  ['0 0 * * 1#1,3', /day of week '1#1,3' mixes days of every week with days of one week/],
  ['0 0 * * L', /day of week 'L' is not a value; allowed: .*L5 for the last/],
  ['0 0 * * 5#2#3', /names no week of a month/],
  ['? * * * *', /minute '\?' is not a value; allowed: 0 to 59/],
  ['0 0 0W * *', /day of month '0W' is not a day of every month/],
  ['0 0 1W,15 * *', /day of month '1W' is not a value/],
  ['0 0 L-3 * *', /day of month 'L-3' is not a value/],
  ['0 0 1,,2 * *', /day of month '' is not a value/],
  ['1--2 * * * *', /minute '1--2' is not a value or range/],
  ['1-2-3 * * * *', /minute '1-2-3' is not a value or range/],
  ['*/5/5 * * * *', /minute '\*\/5\/5' is not a value or range/],
  ['*/x * * * *', /step 'x', which is not a whole number/],
  ['0 0 * * * 60', /second '60' is out of range; allowed: 0 to 59/],
  ['0 0 * * * 0 1969', /year '1969' is out of range; allowed: 1970 to 2099/],
  ['0 0 * * * 0 * *', /8 fields instead of 5/],
  ['H * * * *', /minute 'H' is a hash/],
  ['@dialy', /there is no such preset\. Did you mean '@daily'\? Presets: @hourly/],
  ['@continuous', /@continuous is no preset of cron/],
])("'%s' is refused, and the message says what is wrong", (expression, message) => {
  expect(validateCron(expression)).toMatch(message)
  expect(() => compileCron(expression)).toThrow(expect.objectContaining({ code: 'DAG_DEFINITION' }))
})

// Accepted by Airflow, refused here, each with its reason.
test.each([
  ['5-5 * * * *', 'the whole field in Airflow, 5 elsewhere', /'5-5' is a range of one value/],
  ['0 0 * Jan-1 *', 'as above, spelt in two ways', /'Jan-1' is a range of one value/],
  ['50-30/7 * * * *', 'Airflow counts on from the end of the hour by one too many', /goes round the end/],
  ['*,5 * * * *', 'the 5 has no meaning', /'\*' is '\*' within a list or range/],
  ['0 0 31W * *', 'last weekday of a short month in Airflow, none elsewhere', /is not a day of every month/],
  [
    '0 0 15W * MON',
    'intersected in Airflow, though other days unite',
    /'15W' can't be joined with a day of week/,
  ],
  [
    '0 0 13 * 5#2',
    'intersected in Airflow, though other days unite',
    /'5#2' can't be joined with a day of month/,
  ],
  [
    '0 0 13 * L5',
    'intersected in Airflow, though other days unite',
    /'L5' can't be joined with a day of month/,
  ],
])("'%s' is refused, unlike in Airflow: %s", (expression, _reason, message) => {
  expect(validateCron(expression)).toMatch(message)
})

test('a valid expression has nothing to say', () => {
  expect(validateCron('*/5 8-17 * * MON-FRI')).toBeNull()
})

test('compiling an expression twice gives the same schedule', () => {
  expect(compileCron('17 3 * * *')).toBe(compileCron('17 3 * * *'))
})

const someOf = (min: number, max: number) =>
  fc.uniqueArray(fc.integer({ min, max }), { minLength: 1, maxLength: 5 })

test('the next time is the first minute that matches each field, and the last one is found again from behind', () => {
  const fields = fc.record({
    minutes: someOf(0, 59),
    hours: someOf(0, 23),
    days: fc.option(someOf(1, 31)),
    weekdays: fc.option(someOf(0, 6)),
    from: fc.integer({ min: Date.UTC(2024, 0), max: Date.UTC(2030, 0) }),
  })
  fc.assert(
    fc.property(fields, ({ minutes, hours, days, weekdays, from }) => {
      const schedule = compileCron(`${minutes} ${hours} ${days ?? '*'} * ${weekdays ?? '*'}`)
      const isDay = (date: Date) => {
        const ofMonth = days?.includes(date.getUTCDate())
        const ofWeek = weekdays?.includes(date.getUTCDay())
        return ofMonth === undefined && ofWeek === undefined ? true : ofMonth === true || ofWeek === true
      }
      const matches = (wall: number) => {
        const date = new Date(wall)
        return minutes.includes(date.getUTCMinutes()) && hours.includes(date.getUTCHours()) && isDay(date)
      }
      let expected = Math.floor(from / minuteMs) * minuteMs + minuteMs
      while (!matches(expected)) expected += minuteMs
      expect(schedule.after(from)).toBe(expected)
      expect(schedule.atOrBefore(expected)).toBe(expected)
      const before = schedule.atOrBefore(expected - 1)!
      expect(before).toBeLessThanOrEqual(from)
      expect(matches(before)).toBe(true)
      expect(schedule.after(before)).toBe(expected)
    }),
    { numRuns: 200 },
  )
})
