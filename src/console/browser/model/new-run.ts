import type { ShownRun } from './model.ts'

export function newRun(
  runId: string,
  { seq, isPartial, startedAt }: Pick<ShownRun, 'seq' | 'isPartial'> & { startedAt: number | undefined },
): ShownRun {
  const began = startedAt === undefined ? {} : { startedAt }
  return { kind: 'run', rev: 0, runId, seq, isPartial, ...began, state: 'running', usage: [], items: [] }
}
