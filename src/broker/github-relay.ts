import { toMessage } from '../errors.ts'
import type { Exchange } from './door.ts'
import type { GitHubUpstream } from './github-upstream.ts'
import { Refusal } from './refusal.ts'
import { type Onward, type Passing, passOn } from './relay.ts'

/**
 * Sends a request on to GitHub and its answer back. Does nothing more when the client leaves.
 *
 * @throws {Refusal} when GitHub cannot be reached.
 */
export async function passToGitHub(
  { response, asked, signal }: Exchange,
  upstream: GitHubUpstream,
  { url, ...onward }: Pick<Onward, 'url' | 'headers' | 'body'>,
  passing: Passing,
): Promise<void> {
  try {
    const dispatcher = await upstream.connections(url)
    await passOn(response, { url, ...onward, method: asked.method, dispatcher, signal }, passing)
  } catch (error) {
    if (error instanceof Refusal) throw error
    if (!signal.aborted) throw new Refusal(`${url.host} cannot be reached: ${toMessage(error)}`, 502)
  }
}
