// Members of Claude Code's messages. A member of an unexpected type reads as absent, because the vendor changes them.
import { z } from 'zod'

export const text = z.string().optional().catch(undefined)
export const amount = z.number().optional().catch(undefined)
export const flag = z.boolean().optional().catch(undefined)
export const texts = z.array(z.string()).optional().catch(undefined)
