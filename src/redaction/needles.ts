import { encodedForms } from './encoded-forms.ts'
import { NeedleFilter } from './needle-filter.ts'
import { type Needle, NeedleTree } from './needle-tree.ts'
import type { TokenForm } from './token-forms.ts'

/** What a redactor looks for, in the form that is searched. */
export interface Needles {
  tree: NeedleTree
  filter: NeedleFilter
  forms: readonly TokenForm[]
  /** So many characters may wait for what follows, never more. */
  heldCharsMax: number
  /** The longest literal beginning of a token form. */
  prefixCharsMax: number
}

export function createNeedles(values: readonly string[], forms: readonly TokenForm[]): Needles {
  const secrets = new Set(values.flatMap((value) => [...encodedForms(value)]))
  const needles: Needle[] = [...secrets].map((text) => ({ text, waits: 'always' }))
  forms.forEach(({ prefixes, context, startsWord }, form) => {
    // Context is shown.
    const waits = context !== undefined ? 'never' : startsWord ? 'at-word' : 'always'
    for (const text of prefixes) needles.push({ text, form, waits })
  })
  const tree = new NeedleTree(needles)
  return {
    tree,
    filter: new NeedleFilter(needles.map(({ text }) => text)),
    forms,
    heldCharsMax: Math.max(tree.longest, ...forms.map(heldCharsOf)),
    prefixCharsMax: Math.max(0, ...forms.flatMap(({ prefixes }) => prefixes.map(({ length }) => length))),
  }
}

/** Until the last step has its minimum it is not known for a token. */
function heldCharsOf({ prefixes, context, steps }: TokenForm): number {
  const prefix = context === undefined ? Math.max(...prefixes.map(({ length }) => length)) : 0
  const before = steps.slice(context?.secretFrom ?? 0, -1)
  return prefix + before.reduce((sum, { max }) => sum + max, 0) + (steps.at(-1)?.min ?? 0) + 1
}
