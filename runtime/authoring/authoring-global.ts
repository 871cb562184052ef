// The authoring module as bundles of Dag modules find it. A bundle does not contain it, so that its hash says
// something of the author's code only and a release of ours makes no new Dag versions; it takes each name that
// it imports from 'branchline' from this property of globalThis.
import * as authoring from '../index.ts'

/** Key of the property. */
export const authoringKey: unique symbol = Symbol.for('branchline.authoring')

/** Every name that can be imported from 'branchline' as a value. */
export const authoringNames: readonly string[] = Object.keys(authoring)

/** Call before importing a bundle; more than once does no harm. */
export function installAuthoring(): void {
  Object.assign(globalThis, { [authoringKey]: authoring })
}
