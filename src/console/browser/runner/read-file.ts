import type { AttachedFile } from '../model/files.ts'

/** Bytes: more than this makes a request that the runner's REQUEST_BODY_BYTES_MAX refuses by default. */
const FILE_BYTES_MAX = 5 * 1024 * 1024

/** @throws when it is too large, or cannot be read. */
export async function readFile(file: File): Promise<AttachedFile> {
  if (file.size > FILE_BYTES_MAX) throw new RangeError(`${file.name} is larger than 5 MiB.`)
  const address = await new Promise<string>((resolve, reject) => {
    const reader = new FileReader()
    reader.onload = () => resolve(String(reader.result))
    reader.onerror = () => reject(new Error(`${file.name} cannot be read.`))
    reader.readAsDataURL(file)
  })
  const data = address.slice(address.indexOf(',') + 1)
  return { name: file.name, mimeType: file.type === '' ? 'application/octet-stream' : file.type, data }
}
