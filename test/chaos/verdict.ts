// Whether a thread's log has all that was answered for, whole and legal.
import { EventType } from '@ag-ui/core'
import { judge } from '../support/agui-judge.ts'
import { type ClientEvent, textOf } from '../support/client.ts'
import type { Witness } from '../support/witness.ts'

export interface SentRun {
  runId: string
  messageId: string
  /** What the model says to it. */
  answer: string
  became: 'acknowledged' | 'refused' | 'unknown'
  /** It may have been answered otherwise, also when the gateway did not fail. */
  isDisturbed: boolean
}

export interface Sent {
  runs: readonly SentRun[]
  messageIds: readonly string[]
  unnamed: number
}

export interface Tally {
  /** Records that were compared with what readers had. */
  events: number
  /** How the acknowledged runs ended. */
  ends: Record<string, number>
}

/** Whether it failed at any time between two of Date.now(). */
type HasGatewayFailed = (from: number, to: number) => boolean

/** @throws what is wrong, all of it. */
export async function checkLog(
  threadId: string,
  sse: string,
  sent: Sent,
  witness: Witness,
  hasGatewayFailed: HasGatewayFailed,
): Promise<Tally> {
  const records = [...sse.matchAll(/^id: (\d+)\ndata: (.*)$/gm)].map(([, seq, json]): [number, string] => [
    Number(seq),
    json ?? '',
  ])
  const events = records.map(([, json]): ClientEvent => JSON.parse(json))
  const runs = runsOf(events)
  const hole = records.findIndex(([seq], index) => seq !== index + 1)
  const problems = [
    ...(hole < 0 ? [] : [`record ${hole + 1} is missing`]),
    ...witness.differences(new Map(records)),
    ...sent.runs.flatMap((run) => problemsOf(run, runs.get(run.runId), sse, hasGatewayFailed)),
    ...sent.messageIds.flatMap((id) => (sse.includes(`"${id}"`) ? [] : [`message ${id} is lost`])),
    ...strangers(runs, sent),
    ...(events.length === 0 ? [] : (await judge(events)).problems),
  ]
  if (problems.length > 0) throw new Error(`${threadId}: ${problems.slice(0, 20).join('\n')}`)
  const ends: Record<string, number> = {}
  for (const { runId, became } of sent.runs) {
    if (became !== 'acknowledged') continue
    const end = endOf(runs.get(runId)?.at(-1))
    ends[end] = (ends[end] ?? 0) + 1
  }
  return { events: records.length, ends }
}

function problemsOf(
  { runId, messageId, answer, became, isDisturbed }: SentRun,
  events: ClientEvent[] | undefined,
  sse: string,
  hasGatewayFailed: HasGatewayFailed,
): string[] {
  if (events === undefined) return became === 'acknowledged' ? [`run ${runId} is lost`] : []
  if (became === 'refused') return [`run ${runId} was refused, and is in the log`]
  if (!sse.includes(`"${messageId}"`)) return [`message ${messageId} is lost`]
  // The log's own times: its client may have left before the gateway failed.
  if (isDisturbed || hasGatewayFailed(timeOf(events[0]), timeOf(events.at(-1)))) return []
  const said = textOf(events)
  const isWhole = endOf(events.at(-1)) === 'success' ? said === answer : answer.startsWith(said)
  if (isWhole) return []
  const differs = [...said].findIndex((char, index) => char !== answer[index])
  const at = differs < 0 ? said.length : differs
  const [is, wanted] = [said, answer].map(
    (text) => `${text.slice(Math.max(0, at - 20), at + 40)} at ${at} of ${text.length}`,
  )
  return [`run ${runId} ended with ${endOf(events.at(-1))} and says ${is}, not ${wanted}`]
}

function strangers(runs: ReadonlyMap<string, unknown>, sent: Sent): string[] {
  const known = new Set(sent.runs.map(({ runId }) => runId))
  const unknown = [...runs.keys()].filter((runId) => !known.has(runId))
  return unknown.length > sent.unnamed ? [`nobody has sent ${unknown.join(', ')}`] : []
}

/** The events of each run; that they are legal is the judge's part. */
function runsOf(events: readonly ClientEvent[]): Map<string, ClientEvent[]> {
  const runs = new Map<string, ClientEvent[]>()
  let run: ClientEvent[] = []
  for (const event of events) {
    if (event.type === EventType.RUN_STARTED) {
      run = []
      runs.set(event['runId'], run)
    }
    run.push(event)
  }
  return runs
}

function endOf(event: ClientEvent | undefined): string {
  if (event?.type === EventType.RUN_FINISHED) return event['outcome'].type
  return event?.type === EventType.RUN_ERROR ? event['code'] : 'no end'
}

function timeOf(event: ClientEvent | undefined): number {
  return event?.['timestamp'] ?? Number.NaN
}
