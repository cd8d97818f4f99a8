import type { VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { Attachment } from '../model/model.ts'
import { fetchBlob } from '../runner/api.ts'
import { saveBlob } from '../runner/save.ts'
import { SaveButton } from './save-button.tsx'

/** Images in which nothing can run. */
const DRAWN = /^image\/(?:png|jpeg|gif|webp|avif|bmp)$/

export function Media({ attachments }: { attachments: readonly Attachment[] }): VNode | null {
  if (attachments.length === 0) return null
  return (
    <div class="media">
      {attachments.map((attachment) =>
        DRAWN.test(attachment.mimeType) && (attachment.data ?? attachment.url) !== undefined ? (
          <Picture attachment={attachment} />
        ) : (
          <Other attachment={attachment} />
        ),
      )}
    </div>
  )
}

/** Shows an image by a blob address, since its bytes need the token. No other host is asked. */
function Picture({ attachment }: { attachment: Attachment }): VNode {
  const [address, setAddress] = useState<string>()
  const { mimeType, data, url } = attachment
  useEffect(() => {
    let made: string | undefined
    let isOver = false
    const show = async (): Promise<void> => {
      const bytes = await (data === undefined ? fetchBlob(url ?? '') : toBlob(data, mimeType))
      if (isOver) return
      made = URL.createObjectURL(bytes)
      setAddress(made)
    }
    show().catch(() => setAddress(''))
    return () => {
      isOver = true
      if (made !== undefined) URL.revokeObjectURL(made)
    }
  }, [data, url, mimeType])
  if (address === '') return <Other attachment={attachment} />
  return address === undefined ? (
    <p class="dim">Image…</p>
  ) : (
    <img src={address} alt={`From the conversation, ${mimeType}`} />
  )
}

function Other({ attachment: { mimeType, url } }: { attachment: Attachment }): VNode {
  return (
    <p>
      <span class="chip">{mimeType}</span>{' '}
      {url?.startsWith('/sessions/') === true && <SaveButton label="Save" save={() => saveBlob(url)} />}
    </p>
  )
}

function toBlob(base64: string, type: string): Blob {
  return new Blob([Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))], { type })
}
