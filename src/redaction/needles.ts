import { encodedForms } from './encoded-forms.ts'
import { NeedleFilter } from './needle-filter.ts'
import { type Needle, NeedleTree } from './needle-tree.ts'
import { GAP_CHARS_MAX } from './spaced-search.ts'
import type { TokenForm } from './token-forms.ts'

/** Everything that a redactor searches for, compiled. */
export interface Needles {
  tree: NeedleTree
  /** Known secrets in base64, which text may break into lines. */
  spaced: NeedleTree
  filter: NeedleFilter
  forms: readonly TokenForm[]
  /** Upper bound of the characters that are held back. */
  heldCharsMax: number
  /** Length of the longest prefix of a token form. */
  prefixCharsMax: number
}

export function createNeedles(values: readonly string[], forms: readonly TokenForm[]): Needles {
  const encoded = values.map((value) => encodedForms(value))
  const base64 = new Set(encoded.flatMap((value) => [...value.base64]))
  const secrets = new Set([...encoded.flatMap(({ text }) => [...text]), ...base64])
  const needles = [...secrets].map(toNeedle)
  forms.forEach(({ prefixes, context, startsWord }, form) => {
    // The context is not secret, so nothing of it is held back.
    const waits = context !== undefined ? 'never' : startsWord ? 'at-word' : 'always'
    for (const text of prefixes) needles.push({ text, form, waits })
  })
  const tree = new NeedleTree(needles)
  const spaced = new NeedleTree([...base64].map(toNeedle))
  return {
    tree,
    spaced,
    filter: new NeedleFilter(needles.map(({ text }) => text)),
    forms,
    heldCharsMax: Math.max(tree.longest, spaced.longest * (GAP_CHARS_MAX + 1), ...forms.map(heldCharsOf)),
    prefixCharsMax: Math.max(0, ...forms.flatMap(({ prefixes }) => prefixes.map(({ length }) => length))),
  }
}

function toNeedle(text: string): Needle {
  return { text, waits: 'always' }
}

/** Returns the characters up to the last step's minimum, before which a token is not recognized. */
function heldCharsOf({ prefixes, context, steps }: TokenForm): number {
  const prefix = context === undefined ? Math.max(...prefixes.map(({ length }) => length)) : 0
  const before = steps.slice(context?.secretFrom ?? 0, -1)
  return prefix + before.reduce((sum, { max }) => sum + max, 0) + (steps.at(-1)?.min ?? 0) + 1
}
