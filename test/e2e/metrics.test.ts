import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { post, run, runInput } from '../support/client.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'

const SCRIPT = {
  rules: [
    { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true as const }] },
    { reply: 'You said: {{prompt}}' },
  ],
}

let bench: Bench
let runner: RunnerProcess

beforeAll(async () => {
  bench = await openBench({ script: SCRIPT })
  runner = await bench.start()
})
afterAll(() => bench.close())

async function scrape(): Promise<string> {
  const answer = await fetch(`${runner.url}/metrics`)
  expect(answer.status).toBe(200)
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
  return await answer.text()
}

/** The sum of a metric's samples whose labels hold `labels`. */
function sumOf(text: string, name: string, labels = ''): number {
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => line.includes(labels))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

test('what the runner did is in its metrics', async () => {
  await run(runner.url, runInput('counted', 'hello'))
  const text = await scrape()
  expect(sumOf(text, 'agui_runner_runs_total', 'outcome="success"')).toBe(1)
  expect(sumOf(text, 'agui_runner_run_first_event_seconds_count')).toBe(1)
  expect(sumOf(text, 'agui_runner_log_events_total')).toBeGreaterThanOrEqual(5)
  expect(sumOf(text, 'agui_runner_log_appended_bytes_total')).toBeGreaterThan(100)
  expect(sumOf(text, 'agui_runner_claude_started_total')).toBe(1)
  expect(sumOf(text, 'agui_runner_claude_warm')).toBe(1)
  expect(sumOf(text, 'agui_runner_threads', 'state="idle"')).toBe(1)
  expect(sumOf(text, 'agui_runner_readers')).toBe(0)
  // The reader that has ended is behind nothing.
  expect(sumOf(text, 'agui_runner_reader_lag_records_max')).toBe(0)
  expect(sumOf(text, 'agui_runner_http_requests_total', 'method="POST",route="/",status="200"')).toBe(1)
})

test('a run under way, its reader, what waits behind it, and its end as cancelled', async () => {
  const url = `${runner.url}/sessions/busy`
  const before = await scrape()
  const hanging = await post(runner.url, runInput('busy', 'hang'))
  await post(`${url}/messages`, { content: 'later', delivery: 'queue' })
  const during = await scrape()
  expect(sumOf(during, 'agui_runner_runs_active')).toBe(1)
  expect(sumOf(during, 'agui_runner_readers', 'kind="sse"')).toBe(1)
  expect(sumOf(during, 'agui_runner_queued_runs')).toBe(1)
  await post(`${url}/interrupt`, {})
  await hanging.text()
  const after = await scrape()
  const cancelled = (text: string): number => sumOf(text, 'agui_runner_runs_total', 'outcome="cancelled"')
  expect(cancelled(after) - cancelled(before)).toBe(1)
})

test('every metric that the dashboard asks for is told, with the labels it asks by', async () => {
  const dashboard: { panels: { title: string; targets: { expr: string; legendFormat: string }[] }[] } =
    JSON.parse(readFileSync('docs/grafana-dashboard.json', 'utf8'))
  const text = await scrape()
  const told = new Set([...text.matchAll(/^# TYPE (\w+)/gm)].map((match) => match[1] ?? ''))
  const asked = new Set<string>()
  for (const { title, targets } of dashboard.panels) {
    for (const { expr, legendFormat } of targets) {
      const names = [...expr.matchAll(/\b((?:agui_runner|process|gen_ai)_\w+)\{/g)].map(
        (match) => match[1] ?? '',
      )
      expect(names, title).toHaveLength(1)
      const metric = (names[0] ?? '').replace(/_bucket$/, '')
      expect(told, title).toContain(metric)
      asked.add(metric)
      for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
        expect(expr, `${title}: ${label}`).toMatch(new RegExp(`by \\([^)]*\\b${label}\\b`))
    }
  }
  // And nothing is told that nobody looks at.
  expect([...told].filter((name) => !asked.has(name))).toEqual([])
})
