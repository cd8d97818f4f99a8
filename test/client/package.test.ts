// What the package is as others get it: its size, what it pulls in, and the example of its README.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { afterAll, expect, test } from 'vitest'
import { openBench } from '../support/runner.ts'

const GZIP_BYTES_MAX = 12 * 1024
const FOLDER = new URL('../../packages/client/', import.meta.url)

test(`all of it is at most ${GZIP_BYTES_MAX} bytes, minified and zipped, without zod or AG-UI's code`, async () => {
  const { outputFiles, metafile } = await build({
    stdin: { contents: "export * from '@agui-runner/client'", resolveDir: FOLDER.pathname },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
    metafile: true,
  })
  const packages = Object.keys(metafile.inputs)
    .filter((path) => path.includes('node_modules/'))
    .map((path) => path.split('node_modules/').at(-1)?.split('/')[0])
  expect([...new Set(packages)]).toEqual(['eventsource-parser'])
  const bytes = gzipSync(outputFiles[0]?.contents ?? '').length
  console.log(`@agui-runner/client: ${bytes} bytes`)
  expect(bytes).toBeGreaterThan(1000)
  expect(bytes).toBeLessThanOrEqual(GZIP_BYTES_MAX)
})

const bench = await openBench()
afterAll(() => bench.close())

/** Runs a program with the built package, as a plain Node program does; its output. */
async function runProgram(program: string, env: Record<string, string>): Promise<string> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: FOLDER,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [output] = await Promise.all([
    text(child.stdout),
    new Promise((resolve) => child.once('close', resolve)),
  ])
  return output
}

test('the examples of the README run', { timeout: 60_000 }, async () => {
  const runner = await bench.start({ AGUI_TOKEN: 'readme-token' })
  const env = { RUNNER_URL: runner.url, RUNNER_TOKEN: 'readme-token' }
  const readme = readFileSync(new URL('README.md', FOLDER), 'utf8')
  const [first = '', second = ''] = [...readme.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code ?? '')
  expect(await runProgram(first, env)).toMatch(/What is the weather in Ulm\?.*\nRUN_FINISHED\n$/s)
  expect(await runProgram(second, env)).toMatch(/^\[\s+'hello',\s+'.*You said: hello'\s+\]\n$/)
})
