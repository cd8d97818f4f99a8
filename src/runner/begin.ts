import { inBackground } from '../background.ts'
import type { Enforcement } from '../sandbox/enforcement.ts'
import type { Threads } from '../thread/threads.ts'
import type { Workspace } from '../workspace/workspace.ts'
import { type Credentials, logCredentials } from './credentials.ts'
import type { RunnerOptions } from './options.ts'

interface Begun {
  threads: Threads
  credentials: Credentials
  enforcement: Enforcement
  workspace: Workspace
}

/** Starts the work that follows the start of the server. No client waits for it. */
export function begin({ config, logger }: RunnerOptions, parts: Begun): void {
  const { threads, credentials, enforcement, workspace } = parts
  threads.resume()
  inBackground({ name: 'logging the credentials' }, logCredentials(credentials, enforcement, logger))
  inBackground({ name: 'setting the workspace up' }, workspace.setup.start())
  const { sessionId: threadId } = config
  // A failure is reported again by the thread's first run.
  if (threadId !== undefined) inBackground({ name: 'warming up', threadId }, threads.warm(threadId))
}
