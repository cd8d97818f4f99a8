import type { ResumeEntry } from '@agui-runner/client'
import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import type { ToolDecision } from '../model/decision.ts'

/** The answer to what is asked, and the word by which it is kept in the record. */
export type Send = (answer: Omit<ResumeEntry, 'interruptId'>, word: string) => void

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
