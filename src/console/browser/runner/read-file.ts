import type { AttachedFile } from '../model/files.ts'

/** Bytes. The runner refuses a request with more by default (REQUEST_BODY_BYTES_MAX). */
const FILE_BYTES_MAX = 5 * 1024 * 1024

/** Reads a file that is to be attached. @throws {RangeError} when it is too large; {Error} when it cannot be read. */
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
