import { RunnerError } from '../errors.ts'

/** @throws {RunnerError} `replay_expired` when retention removed records after `after`, or `after` is past the head. */
export function checkKept({ oldest, head }: { oldest: number; head: number }, after: number): void {
  if (after + 1 < oldest) {
    const message = `Records up to ${oldest - 1} of this thread are gone by retention; read after ${oldest - 1}, or connect anew.`
    throw new RunnerError('replay_expired', message, { details: { oldestSeq: oldest } })
  }
  if (after > head) {
    // The thread was deleted and made anew, or its store lost records: the reader would silently miss those up to `after`.
    const message = `This thread goes on after record ${head}: record ${after} was another thread's of this id, or the store has lost it; read after 0, or connect anew.`
    throw new RunnerError('replay_expired', message, { details: { oldestSeq: oldest } })
  }
}

/** Returns the error for damaged or missing records after `seq`; `oldestSeq` is the first seq to go on with. */
export function damagedGap(seq: number, oldestSeq: number): RunnerError {
  const lost = { first: seq + 1, last: oldestSeq - 1 }
  const message = `Records ${lost.first} to ${lost.last} of this thread are damaged in the store; read after ${lost.last}, or connect anew.`
  return new RunnerError('replay_expired', message, { details: { oldestSeq, lost } })
}
