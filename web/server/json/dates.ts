// The one difference between a row and its JSON: instants are Dates in the one and ISO 8601 text in the other.

type JsonValue<Value> = Value extends Date ? string : Value

/** A row whose dates are texts. */
export type JsonRow<Row> = { [Key in keyof Row]: JsonValue<Row[Key]> }

/** The row with each Date as ISO 8601 text with milliseconds, in UTC; looks at the row's own columns alone. */
export function jsonRow<Row extends object>(row: Row): JsonRow<Row> {
  return Object.fromEntries(
    Object.entries(row).map(([key, value]) => [key, value instanceof Date ? value.toISOString() : value]),
  ) as JsonRow<Row>
}

/** Seconds from start to end; null where one of them is not there. */
export function durationSeconds(start: Date | null, end: Date | null): number | null {
  return start === null || end === null ? null : (end.getTime() - start.getTime()) / 1_000
}
