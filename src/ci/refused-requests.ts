import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { parseJson } from '../json.ts'

/** A line of the broker's audit, reduced to the shown members. */
const Line = z.object({
  door: z.string().optional(),
  method: z.string(),
  path: z.string(),
  verdict: z.enum(['allow', 'deny']),
  reason: z.string().optional(),
})

export interface RefusedRequest {
  /** The broker's door: `git`, `github`, `model`, or `egress` for another host. */
  door: string
  /** Method and path, such as `CONNECT api.example:443`. */
  request: string
  reason: string
}

/** Returns the requests that the broker refused, in order and without repeats. A missing file counts as no requests. */
export async function readRefused(auditFile: string): Promise<RefusedRequest[]> {
  const text = await readFile(auditFile, 'utf8').catch(() => '')
  const refused = new Map<string, RefusedRequest>()
  for (const json of text.split('\n')) {
    const line = Line.safeParse(parseJson(json)).data
    if (line?.verdict !== 'deny') continue
    const { door = '', method, path, reason = '' } = line
    const request = `${method} ${path}`.trim()
    const key = `${door} ${request}`
    if (!refused.has(key)) refused.set(key, { door, request, reason })
  }
  return [...refused.values()]
}
