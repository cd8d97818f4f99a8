import type { VNode } from 'preact'
import { LongText } from './long-text.tsx'

/** Characters. A longer text begins with a glance. */
const CHARS_MAX = 10_000

/** A plain text with its lines as they are. */
export function PlainText({ text, label }: { text: string; label: string }): VNode {
  return text.length > CHARS_MAX ? <LongText text={text} label={label} /> : <p class="said">{text}</p>
}
