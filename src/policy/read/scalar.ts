// The types of YAML scalars in OpenShell. Its loaders use serde_yml, whose rules are neither YAML 1.1's nor 1.2's
// (serde_yaml 0.9 `visit_untagged_scalar`): `01` and `1_000` are text, `0b1` is the integer 1, `1.0` is no integer.
import { Scalar } from 'yaml'

export type ScalarKind = 'null' | 'boolean' | 'integer' | 'float' | 'text'

const INTEGER = /^[+-]?(?:0|[1-9]\d*|0x[0-9a-fA-F]+|0o[0-7]+|0b[01]+)$/
/** Rust's form of a finite number. `NO_FINITE` has YAML's words for the others. */
const FLOAT = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i
const NO_FINITE = /^(?:[+-]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/
/** A number with leading zeros, which serde reads as text and refers to YAML 1.2 for it. */
const LEADING_ZERO = /^[+-]?0\d+$/
const NULL = /^(?:|~|null|Null|NULL)$/
const BOOLEAN = /^(?:true|True|TRUE|false|False|FALSE)$/

/** Returns the text as written: `5` and `"5"` both return "5". */
export function scalarText(scalar: Scalar): string {
  return scalar.source ?? String(scalar.value ?? '')
}

export function scalarKind(scalar: Scalar): ScalarKind {
  // A scalar that stands for an absent value has no type.
  if (scalar.type !== Scalar.PLAIN && scalar.type !== undefined) return 'text'
  const text = scalarText(scalar)
  if (NULL.test(text)) return 'null'
  if (BOOLEAN.test(text)) return 'boolean'
  if (INTEGER.test(text)) return 'integer'
  const isFloat = (FLOAT.test(text) && !LEADING_ZERO.test(text)) || NO_FINITE.test(text)
  return isFloat ? 'float' : 'text'
}

export function booleanOf(scalar: Scalar): boolean | undefined {
  return scalarKind(scalar) === 'boolean' ? scalarText(scalar).toLowerCase() === 'true' : undefined
}

/** Returns the integer, if it is one. Unsigned excludes even `-0`: Rust reads no minus into an unsigned number. */
export function integerOf(scalar: Scalar, { isSigned }: { isSigned: boolean }): number | undefined {
  if (scalarKind(scalar) !== 'integer') return undefined
  const text = scalarText(scalar)
  const isNegative = text.startsWith('-')
  if (isNegative && !isSigned) return undefined
  const size = Number(text.replace(/^[+-]/, ''))
  return isNegative ? -size : size
}
