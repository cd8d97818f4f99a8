import type { ComponentChild, VNode } from 'preact'
import { useState } from 'preact/hooks'
import { formatBytes, formatCount } from '../model/format.ts'
import { countLines } from '../model/text-lines.ts'
import { type ChangedShape, languageOf, type RepositoryShape } from '../model/workspace-shapes.ts'
import { listFolder, readChange, readChanges, readText, saveWorkspaceFile } from '../runner/workspace.ts'
import { CodeBlock } from './code-block.tsx'
import { DiffView } from './diff-view.tsx'
import { LineWindow } from './line-window.tsx'
import { Modal } from './modal.tsx'
import { PathLine } from './path-line.tsx'
import { ProblemText } from './problem-text.tsx'
import { SaveButton } from './save-button.tsx'
import { type Inquiry, useAsked } from './use-asked.ts'

/** Characters. A longer file is never laid out whole. */
const WHOLE_CHARS_MAX = 100_000

/** Shows the workspace: what differs from git's HEAD, and all files. */
export function FilesDialog({ onClose }: { onClose(): void }): VNode {
  const [isAll, setAll] = useState(false)
  const [round, setRound] = useState(0)
  const tab = (name: string, isOfAll: boolean): VNode => (
    <button type="button" aria-pressed={isAll === isOfAll} onClick={() => setAll(isOfAll)}>
      {name}
    </button>
  )
  return (
    <Modal label="Files of the workspace" isWide onClose={onClose}>
      <div class="files-head">
        <h3>Files</h3>
        <span class="tabs">
          {tab('Changed', false)}
          {tab('All files', true)}
        </span>
        <button type="button" class="quiet" onClick={() => setRound(round + 1)}>
          Look again
        </button>
      </div>
      {isAll ? <Browser key={round} /> : <Changed key={round} />}
    </Modal>
  )
}

/** Draws the answer by `draw`, or a word while it is on its way, or why there is none. */
function answered<T>(asked: Inquiry<T>, draw: (value: T) => ComponentChild): ComponentChild {
  if (asked.state === 'asking') return <p class="dim">Looking…</p>
  if (asked.state === 'here') return draw(asked.value)
  return <ProblemText words={asked.reason} />
}

function Changed(): VNode {
  const asked = useAsked('', readChanges)
  return (
    <div class="files">
      {answered(asked, (repositories) => {
        if (repositories.length === 0)
          return (
            <p>
              The workspace holds no git repository, so there is nothing to compare with. “All files” shows
              what is there.
            </p>
          )
        return repositories.map((one) => <RepositoryView key={one.repository} shape={one} />)
      })}
    </div>
  )
}

function RepositoryView({
  shape: { repository, branch, files, isTruncated },
}: {
  shape: RepositoryShape
}): VNode {
  return (
    <section>
      <h4>
        {repository === '' ? 'Workspace' : repository} <span class="dim">on {branch}</span>
      </h4>
      {files.length === 0 && <p class="dim">Nothing differs from HEAD.</p>}
      {files.map((file) => (
        <ChangedView key={file.path} repository={repository} file={file} />
      ))}
      {isTruncated && <p class="dim">There are more; only the first {files.length} are listed.</p>}
    </section>
  )
}

const STATES: Readonly<Record<string, string>> = {
  added: 'good',
  untracked: 'good',
  deleted: 'bad',
  conflicted: 'warn',
}

interface ChangedProps {
  repository: string
  file: ChangedShape
}

function ChangedView({ repository, file }: ChangedProps): VNode {
  const { path, state, added, removed, isBinary } = file
  const [isOpen, setOpen] = useState(false)
  return (
    <details class="changed" onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>
        <PathLine path={path} />
        {added !== undefined && <span class="good">+{added}</span>}
        {removed !== undefined && <span class="bad">−{removed}</span>}
        {isBinary && <span class="dim">binary</span>}
        <span class={STATES[state] ?? 'dim'}>{state}</span>
      </summary>
      {isOpen && <Difference repository={repository} file={file} />}
    </details>
  )
}

function Difference({ repository, file: { path, state, isBinary } }: ChangedProps): VNode {
  return (
    <div>
      {isBinary ? <p class="dim">It is no text.</p> : <TextDifference repository={repository} path={path} />}
      {state !== 'deleted' && <Download path={repository === '' ? path : `${repository}/${path}`} />}
    </div>
  )
}

function TextDifference({ repository, path }: { repository: string; path: string }): VNode {
  const asked = useAsked(path, (signal) => readChange(repository, path, signal))
  return (
    <div>
      {answered(asked, (edit) => (
        <DiffView edits={[edit]} isBare />
      ))}
    </div>
  )
}

/** Shows one folder or one file at a time. */
function Browser(): VNode {
  const [names, setNames] = useState<readonly string[]>([])
  const [file, setFile] = useState<string>()
  const folder = names.join('/')
  const go = (depth: number): void => {
    setNames(names.slice(0, depth))
    setFile(undefined)
  }
  return (
    <div class="files">
      <div class="crumbs" role="group" aria-label="Folder">
        <button type="button" class="quiet" onClick={() => go(0)}>
          Workspace
        </button>
        {names.map((name, index) => (
          <span key={`${index}/${name}`}>
            {'/ '}
            <button type="button" class="quiet" onClick={() => go(index + 1)}>
              {name}
            </button>
          </span>
        ))}
        {file !== undefined && <b>/ {file}</b>}
      </div>
      {file === undefined ? (
        <Folder path={folder} onFolder={(name) => setNames([...names, name])} onFile={setFile} />
      ) : (
        <FileView path={folder === '' ? file : `${folder}/${file}`} />
      )}
    </div>
  )
}

interface FolderProps {
  path: string
  onFolder(name: string): void
  onFile(name: string): void
}

function Folder({ path, onFolder, onFile }: FolderProps): VNode {
  const asked = useAsked(path, (signal) => listFolder(path, signal))
  return (
    <div>
      {answered(asked, ({ entries, isTruncated }) => (
        <ul class="folder">
          {entries.length === 0 && <li class="dim">Nothing is in this folder.</li>}
          {entries.map(({ name, isFolder, size }) => (
            <li key={name}>
              <button type="button" class="quiet" onClick={() => (isFolder ? onFolder(name) : onFile(name))}>
                {name}
                {isFolder ? '/' : ''}
              </button>
              {!isFolder && <span class="dim">{formatBytes(size)}</span>}
            </li>
          ))}
          {isTruncated && <li class="dim">There are more; only the first {entries.length} are listed.</li>}
        </ul>
      ))}
    </div>
  )
}

function FileView({ path }: { path: string }): VNode {
  const asked = useAsked(path, (signal) => readText(path, signal))
  return (
    <div>
      {answered(asked, (text) => {
        if (text === '') return <p class="dim">The file is empty.</p>
        if (text.length > WHOLE_CHARS_MAX) return <LineWindow text={text} label={path} />
        return <CodeBlock code={text.replace(/\n$/, '')} language={languageOf(path)} />
      })}
      <p class="dim">
        {asked.state === 'here' && `${formatCount(countLines(asked.value.replace(/\n$/, '')), 'line')} · `}
        <Download path={path} />
      </p>
    </div>
  )
}

function Download({ path }: { path: string }): VNode {
  return <SaveButton label="Download" save={() => saveWorkspaceFile(path)} />
}
