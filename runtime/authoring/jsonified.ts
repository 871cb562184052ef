// A result travels as JSON, so what the next task receives is not always what was returned: a Date arrives as
// text, a method not at all. The type says so to the compiler, and `resultText` does it, in production and in
// `testDag` alike.
import { messageOf, TaskFailError } from '../errors.ts'

/** Taken before a task may replace it. */
const { stringify } = JSON

type Primitive = string | number | boolean | null | undefined
// biome-ignore lint/suspicious/noExplicitAny: only `any` matches the parameters of every function
type AnyFunction = (...parameters: any[]) => unknown

/** What JSON leaves as it is. Seen as a whole first, or a recursive type such as this one would have no end. */
type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue | undefined }

/**
 * What is left of a `T` that went through JSON: what has toJSON (a Date) becomes what that gives, functions and
 * symbols vanish from objects, a Map or Set has nothing to show, and a bigint cannot be sent at all.
 */
export type Jsonified<T> = unknown extends T
  ? T
  : [T] extends [JsonValue | undefined]
    ? T
    : T extends Primitive
      ? T
      : T extends void
        ? undefined
        : T extends { toJSON(): infer Json }
          ? Jsonified<Json>
          : T extends bigint
            ? never
            : T extends AnyFunction | symbol
              ? undefined
              : T extends ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>
                ? Record<string, never>
                : T extends readonly unknown[]
                  ? { [Index in keyof T]: JsonElement<T[Index]> }
                  : { [Key in keyof T as JsonKey<Key, T[Key]>]: Jsonified<T[Key]> }

/** In an array, what has no JSON leaves null in its place. */
type JsonElement<T> = T extends AnyFunction | symbol | undefined ? null : Jsonified<T>

type JsonKey<Key, Value> = Key extends symbol ? never : Value extends AnyFunction | symbol ? never : Key

/**
 * JSON text of a task's result; null where there is none (undefined, or a function).
 * @throws TaskFailError where it has no JSON (a bigint, a cycle): another attempt would return the same
 */
export function resultText(taskId: string, result: unknown): string | null {
  try {
    return stringify(result) ?? null
  } catch (error) {
    throw new TaskFailError(
      `the result of task '${taskId}' cannot be written as JSON, in which results travel: ${messageOf(error)}. Return plain data.`,
      { details: { task_id: taskId }, cause: error },
    )
  }
}
