import type { VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { Loss } from '../state/console-state.ts'

const TICK_MS = 500

/** Says that the connection is lost, with a countdown. It is no live region: whoever listens would hear every second. */
export function Banner({ loss, onRetry }: { loss: Loss | undefined; onRetry(): void }): VNode | null {
  const [now, setNow] = useState(Date.now())
  const isLost = loss !== undefined
  useEffect(() => {
    if (!isLost) return undefined
    const timer = setInterval(() => setNow(Date.now()), TICK_MS)
    return () => clearInterval(timer)
  }, [isLost])
  if (loss === undefined) return null
  const seconds = Math.max(0, Math.ceil((loss.retryAt - now) / 1000))
  return (
    <div class="banner">
      <p title={loss.reason}>
        <b>Connection lost.</b> What you see may be old; trying again{seconds > 0 ? ` in ${seconds} s` : ''}…
      </p>
      <button type="button" onClick={onRetry}>
        Try now
      </button>
    </div>
  )
}
