import type { VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { formatDuration } from '../model/format.ts'

const TICK_MS = 1000

/** The time since a moment, in milliseconds since 1970, as it passes. */
export function Elapsed({ since }: { since: number }): VNode {
  const [now, setNow] = useState(Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS)
    return () => clearInterval(timer)
  }, [])
  return <span class="time">{formatDuration(now - since)}</span>
}
