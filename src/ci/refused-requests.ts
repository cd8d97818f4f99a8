import { readFile } from 'node:fs/promises'
import { z } from 'zod'

/** A line of the broker's audit, as far as a person is told of it. */
const Line = z.object({
  door: z.string().optional(),
  method: z.string(),
  path: z.string(),
  verdict: z.enum(['allow', 'deny']),
  reason: z.string().optional(),
})

export interface RefusedRequest {
  /** Of the broker: `git`, `github`, `model`, or `egress` for another host. */
  door: string
  /** `CONNECT pypi.org:443`. */
  request: string
  reason: string
}

/** What the broker refused, each once, in its order. A file that is not there is of a run that did not begin. */
export async function readRefused(auditFile: string): Promise<RefusedRequest[]> {
  const text = await readFile(auditFile, 'utf8').catch(() => '')
  const refused = new Map<string, RefusedRequest>()
  for (const json of text.split('\n')) {
    const line = Line.safeParse(parse(json)).data
    if (line?.verdict !== 'deny') continue
    const { door = '', method, path, reason = '' } = line
    const request = `${method} ${path}`.trim()
    const key = `${door} ${request}`
    if (!refused.has(key)) refused.set(key, { door, request, reason })
  }
  return [...refused.values()]
}

/** The last line may be half written. */
function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}
