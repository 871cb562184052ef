// The pieces that all schemas of the API share. A schema here is at once the check of a request, a part of the
// OpenAPI document, and the TypeScript type of client and server; JSON keys are spelled as the columns are.
import { type Static, type TSchema, Type } from 'typebox'

export const Nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])

/** ISO 8601 with milliseconds, UTC. */
export const Timestamp = Type.String({ format: 'date-time' })

/** Seconds between start and end, as Airflow gives it; null where it has not ended. */
export const DurationSeconds = Nullable(
  Type.Number({ description: 'Seconds from start_date to end_date; null until it has ended.' }),
)

/** Every answer that is no success. `code` is one of docs/reference/errors.md. */
export const ErrorBody = Type.Object(
  {
    code: Type.String(),
    message: Type.String({ description: 'What failed, why, and what to do.' }),
    details: Type.Record(Type.String(), Type.Unknown()),
  },
  { description: 'What failed.' },
)
export type ErrorBody = Static<typeof ErrorBody>

// Nothing in a path or a name has control characters, and Postgres' text cannot hold the first of them.
const name = (description: string) => Type.String({ pattern: '^[^\\x00-\\x1f]+$', description })

export const DagIdParameter = name('dag_id')
export const DagIdOrAll = name('dag_id, or ~ for every Dag')
export const RunIdParameter = name('run_id')
export const TaskIdParameter = name('task_id, with the ids of its groups before it')

/** Rows of one answer. More than the maximum would hold the server and the reader up. */
const maxPageSize = 1_000
export const defaultPageSize = 100

/** The page of a list that is asked for. */
export const pageQuery = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: maxPageSize, description: `Default ${defaultPageSize}.` }),
  ),
  offset: Type.Optional(Type.Integer({ minimum: 0, description: 'Rows to leave out; default 0.' })),
}

/** How many there are beside those in this answer. */
export const totalEntries = Type.Integer({
  description: 'Number of all that match, of which this is one page.',
})

/** Requests have no properties beside these: one that is misspelt is refused, not ignored. */
export const closed = { additionalProperties: false } as const
