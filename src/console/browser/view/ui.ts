import type { ResumeEntry } from '@agui-runner/client'
import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import type { ToolDecision } from '../model/decision.ts'

/** Sends an answer to what is asked; `word` names it in the record. */
export type Send = (answer: Omit<ResumeEntry, 'interruptId'>, word: string) => void

/** What every component may ask of the page. */
export interface Ui {
  answer(entry: ResumeEntry, decision: ToolDecision, toolCallId: string | undefined): Promise<void>
  decisionOn(toolCallId: string): ToolDecision | undefined
}

export const UiContext = createContext<Ui>({
  answer: async () => undefined,
  decisionOn: () => undefined,
})

export const useUi = (): Ui => useContext(UiContext)
