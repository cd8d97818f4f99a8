import type { ResumeEntry } from '@agui-runner/client'
import { createContext } from 'preact'
import { useContext } from 'preact/hooks'

/** Sends an answer to what is asked. */
export type Send = (answer: Omit<ResumeEntry, 'interruptId'>) => void

/** What every component may ask of the page. */
export interface Ui {
  answer(entry: ResumeEntry): Promise<void>
  isAnsweredHere(interruptId: string): boolean
}

export const UiContext = createContext<Ui>({
  answer: async () => undefined,
  isAnsweredHere: () => false,
})

export const useUi = (): Ui => useContext(UiContext)
