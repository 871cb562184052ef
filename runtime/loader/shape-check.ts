// The words in which the shapes of manifests are written: small checks of a value, and how they are put together.

export type Check = (value: unknown) => boolean
/** One for each key of a type: a key that is added there is missing here for the compiler. */
export type Shape<Type> = { [Key in keyof Required<Type>]: Check }

export const isText: Check = (value) => typeof value === 'string'
export const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0
export const isObject: Check = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)
export const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value)
export const oneOf =
  (...values: readonly unknown[]): Check =>
  (value) =>
    values.includes(value)
export const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check)
