import type { ResumeEntry } from '@agui-runner/client'
import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import type { ToolDecision } from '../model/decision.ts'

/** What every part of the page may know and do. */
export interface Ui {
  answer(entry: ResumeEntry, decision: ToolDecision, toolCallId: string | undefined): Promise<void>
  decisionOn(toolCallId: string): ToolDecision | undefined
}

export const UiContext = createContext<Ui>({
  answer: async () => undefined,
  decisionOn: () => undefined,
})

export const useUi = (): Ui => useContext(UiContext)
