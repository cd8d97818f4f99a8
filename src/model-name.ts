import { z } from 'zod'

const FORM =
  'must be the name of a model: a word of at most 256 characters that begins with a letter or a digit'

/** The name of a model: an alias, an id, or the ARN of Bedrock. Claude Code gets it as an argument and in requests. */
export const ModelName = z
  .string(FORM)
  .trim()
  .regex(/^[A-Za-z0-9][\x21-\x7e]{0,255}$/, FORM)
