import type { VNode } from 'preact'
import { useState } from 'preact/hooks'
import type { Choice, Interrupt } from '../model/thread-shapes.ts'
import { ProblemText } from './problem-text.tsx'
import type { Send } from './ui.ts'

interface Given {
  chosen: readonly string[]
  words: string
}

const NOTHING: Given = { chosen: [], words: '' }

/** The questions of an AskUserQuestion, which are answered together. */
export function QuestionCard({
  interrupt: { id, choices },
  send,
}: {
  interrupt: Interrupt
  send: Send
}): VNode {
  const [given, setGiven] = useState<readonly Given[]>(choices.map(() => NOTHING))
  const [problem, setProblem] = useState('')
  const answer = (): void => {
    const answers = choices.map((choice, index) => answersOf(choice, given[index] ?? NOTHING))
    const open = choices.find((_choice, index) => answers[index]?.length === 0)
    setProblem(open === undefined ? '' : `Choose or write an answer to: ${open.question}`)
    if (open !== undefined) return
    const byQuestion = choices.map(({ question, isMultiple }, index) => [
      question,
      isMultiple ? answers[index] : answers[index]?.[0],
    ])
    send({ status: 'resolved', payload: { answers: Object.fromEntries(byQuestion) } })
  }
  return (
    <div>
      {choices.map((choice, index) => (
        <Question
          key={choice.question}
          choice={choice}
          name={`${id}-${index}`}
          given={given[index] ?? NOTHING}
          onChange={(next) => setGiven(given.map((one, at) => (at === index ? next : one)))}
        />
      ))}
      <ProblemText words={problem} />
      <div class="row-of-buttons">
        <button type="button" class="primary" onClick={answer}>
          Answer
        </button>
        <button type="button" onClick={() => send({ status: 'cancelled' })}>
          Dismiss
        </button>
      </div>
    </div>
  )
}

interface QuestionProps {
  choice: Choice
  name: string
  given: Given
  onChange(given: Given): void
}

function Question({ choice, name, given, onChange }: QuestionProps): VNode {
  const { question, options, isMultiple } = choice
  const choose = (label: string, isChosen: boolean): void => {
    const others = isMultiple ? given.chosen.filter((one) => one !== label) : []
    onChange({ ...given, chosen: isChosen ? [...others, label] : others })
  }
  return (
    <fieldset>
      <legend>{question}</legend>
      {options.map(({ label, description }) => (
        <label key={label} class="choice">
          <input
            type={isMultiple ? 'checkbox' : 'radio'}
            name={name}
            value={label}
            checked={given.chosen.includes(label)}
            onChange={({ currentTarget }) => choose(label, currentTarget.checked)}
          />
          <span>
            <b>{label}</b> {description}
          </span>
        </label>
      ))}
      <input
        aria-label={`${question}: own words`}
        placeholder="Or in your own words"
        value={given.words}
        onInput={({ currentTarget }) => onChange({ ...given, words: currentTarget.value })}
      />
    </fieldset>
  )
}

/** The answers to a question. Where only one may be given, the written one counts. */
function answersOf({ isMultiple }: Choice, { chosen, words }: Given): readonly string[] {
  const own = words.trim()
  if (own === '') return chosen
  return isMultiple ? [...chosen, own] : [own]
}
