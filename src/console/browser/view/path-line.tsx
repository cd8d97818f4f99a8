import type { VNode } from 'preact'
import { withSeen } from '../model/text-lines.ts'

/** A path in one line. Where it does not fit its end stays, which is what tells files apart. */
export function PathLine({ path }: { path: string }): VNode {
  return (
    <code class="about path" title={path}>
      <bdi>{withSeen(path)}</bdi>
    </code>
  )
}
