import { z } from 'zod'

/** An image reference with an exact tag or digest. Its form cannot be read as an option. */
const Image = z
  .string()
  .regex(
    /^(?!.*:latest$)[a-z0-9][a-z0-9._/:-]*(?::\w[\w.-]*|@sha256:[0-9a-f]{64})$/,
    'Give an exact tag or digest, such as agui-runner:0.1.0; `latest` is none.',
  )

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
  image: Image,
  network: Network.optional(),
})

export type Choices = z.infer<typeof Choices>
