import { execFileSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { childrenOf } from './proc.ts'

/** Lists of processors as `taskset` takes them. */
export interface Cores {
  all: string
  first: string
  second: string
}

/** Returns the two halves of the machine's processors; undefined when there is only one. */
export function halves(): Cores | undefined {
  const count = availableParallelism()
  if (count < 2) return undefined
  const middle = Math.floor(count / 2)
  return { all: `0-${count - 1}`, first: `0-${middle - 1}`, second: `${middle}-${count - 1}` }
}

/** Keeps a process, all its threads and its descendants on some processors. */
export function pin(pid: number, cores: string): void {
  execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', cores, `${pid}`], { stdio: 'ignore' })
  for (const child of childrenOf(pid)) pin(child, cores)
}
