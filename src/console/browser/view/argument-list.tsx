import { Fragment, type VNode } from 'preact'
import type { Json } from '../model/fields.ts'
import { LongText } from './long-text.tsx'

/** One row per member; a text is shown as it reads, anything else as JSON. */
export function ArgumentList({ args }: { args: Json }): VNode {
  const rows = Object.entries(args)
  if (rows.length === 0) return <p class="dim">No arguments.</p>
  return (
    <dl class="args">
      {rows.map(([name, value]) => (
        <Fragment key={name}>
          <dt>{name}</dt>
          <dd>
            <LongText
              text={typeof value === 'string' ? value : JSON.stringify(value, null, 2)}
              label={name}
            />
          </dd>
        </Fragment>
      ))}
    </dl>
  )
}
