import { newId } from './new-id.ts'
import { Requests } from './requests.ts'
import { Thread } from './thread.ts'
import { isThreadDescription, type ThreadDescription } from './thread-description.ts'
import { toObject } from './values.ts'

/** One agui-runner. It holds no connection of its own. */
export class Runner extends Requests {
  /** The thread of this id; a random id when none is given. The runner makes the thread when its first run begins. */
  thread(threadId: string = newId()): Thread {
    return new Thread(this, threadId)
  }

  /** Every thread that the runner knows. @throws {Refusal} */
  async threads(signal?: AbortSignal): Promise<ThreadDescription[]> {
    const body: unknown = await (
      await this.request('sessions', signal === undefined ? {} : { signal })
    ).json()
    const sessions = toObject(body)['sessions']
    return Array.isArray(sessions) ? sessions.filter(isThreadDescription) : []
  }
}
