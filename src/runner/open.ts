// The server listens first, and the rest is loaded behind it: this file imports nothing else.
import { Listener } from '../http/listener.ts'
import type { Runner } from './create.ts'
import type { RunnerOptions } from './options.ts'
import type { OpenReader, ReaderOptions } from './reader.ts'

/** Listens, then creates the runner. @throws what `createRunner` throws, and the system's error when it cannot listen. */
export async function openRunner(options: Omit<RunnerOptions, 'listener'>): Promise<Runner> {
  const listener = await listen(options)
  const { createRunner } = await import('./create.ts')
  return await createRunner({ ...options, listener })
}

/** Listens, then creates the reader. @throws what `createReader` throws, and the system's error when it cannot listen. */
export async function openReader(options: Omit<ReaderOptions, 'listener'>): Promise<OpenReader> {
  const listener = await listen(options)
  const { createReader } = await import('./reader.ts')
  return await createReader({ ...options, listener })
}

function listen({ config }: Pick<RunnerOptions, 'config'>): Promise<Listener> {
  return Listener.open({ ...config, ...config.limits })
}
