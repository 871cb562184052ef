// Every text within a value of plain JSON, with the place where it stands: what checking and rendering templates
// deep within an object have in common. It imports nothing.

/**
 * The same value with every text in it mapped.
 * @param place of the value; `map` is told that of each text: `<place>.containers[0].image`
 */
export function mapTexts<Value>(
  value: Value,
  place: string,
  map: (text: string, place: string) => string,
): Value {
  return mapAny(value, place, map) as Value
}

function mapAny(value: unknown, place: string, map: (text: string, place: string) => string): unknown {
  if (typeof value === 'string') return map(value, place)
  if (Array.isArray(value)) return value.map((item, index) => mapAny(item, `${place}[${index}]`, map))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, field]) => [key, mapAny(field, `${place}.${key}`, map)]),
  )
}
