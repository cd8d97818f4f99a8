import { z } from 'zod'
import { EXACT_IMAGE, isExactImage } from '../exact-image.ts'

/** The name of a network. `host` is excluded, because there the rules would lock the host. */
const Network = z
  .string()
  .regex(
    /^(?!(?:host|none)$)[A-Za-z0-9][\w.-]*$/,
    'Give the name of a network of the engine; host and none are no such network.',
  )

/** The inputs of the files in addition to the policy's text. */
export const Choices = z.strictObject({
  /** The policy's path from the repository's root. */
  policy: z.string().min(1),
  image: z.string().refine(isExactImage, `Give ${EXACT_IMAGE}.`),
  network: Network.optional(),
})

export type Choices = z.infer<typeof Choices>
