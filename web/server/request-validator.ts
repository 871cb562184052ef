// Checks requests against their schemas, and says what is wrong in our words. TypeBox's own validator, and strict: a
// body is never coerced (`null` would become `false`), no property is ignored; only the texts of path and query
// become numbers, booleans and lists.
import type { FastifySchemaCompiler } from 'fastify'
import type { TObject, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Value } from 'typebox/value'
import { InvalidInputError } from '../../runtime/errors.ts'
import { didYouMean } from '../../runtime/nearest.ts'

type Finding = ReturnType<ReturnType<typeof Compile>['Errors']>[number]

/** For `setValidatorCompiler`; a failed check is an InvalidInputError. */
export const requestValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const compiled = Compile(schema)
  const part = httpPart === 'querystring' ? 'query' : httpPart === 'params' ? 'path' : 'body'
  return (value: unknown) => {
    const converted = part === 'body' ? value : Value.Convert(schema, value)
    if (compiled.Check(converted)) return { value: converted }
    return { error: describe(part, schema, compiled.Errors(converted)) }
  }
}

/** The most telling finding: a misspelt name before anything else. */
function describe(part: string, schema: TSchema, findings: readonly Finding[]): InvalidInputError {
  const details = {
    part,
    errors: findings.map(({ instancePath, message }) => ({ path: instancePath, message })),
  }
  const known = Object.keys((schema as TObject).properties ?? {})
  const unknown = findings
    .filter(({ keyword }) => keyword === 'additionalProperties')
    .flatMap(({ params }) => (params as { additionalProperties: string[] }).additionalProperties)
  if (unknown.length > 0) {
    return new InvalidInputError(
      `the ${part} has no property '${unknown[0]}'.${didYouMean(unknown[0]!, known)} It takes ${known.join(', ') || 'none'}`,
      { details },
    )
  }
  // Of an alternative (`x or null`), the first branch tells more than that none fits.
  const first = findings[0]!
  const missing = (first.params as { requiredProperties?: string[] }).requiredProperties
  const where =
    first.instancePath === '' ? part : `${part}: ${first.instancePath.slice(1).replaceAll('/', '.')}`
  const allowed = (first.params as { allowedValues?: unknown[] }).allowedValues
  return new InvalidInputError(
    `${where} ${missing === undefined ? first.message : `must have ${missing.join(', ')}`}${allowed === undefined ? '' : `: ${allowed.join(', ')}`}`,
    { details },
  )
}
