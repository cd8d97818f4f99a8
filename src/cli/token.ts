import { text } from 'node:stream/consumers'
import { Command, InvalidArgumentError } from 'commander'
import { z } from 'zod'
import type { Env } from '../config.ts'
import { RunnerError } from '../errors.ts'
import type { GitHubApi, Permissions } from '../github-app/app-token.ts'
import { type AppFlags, addAppOptions, readApp } from './app-options.ts'
import type { CliContext } from './context.ts'

/** Limit of all requests to GitHub, retries included, in milliseconds. */
const GITHUB_MS_MAX = 60_000
/** The permissions for pushing a branch and opening a pull request. */
const PERMISSIONS: Permissions = { contents: 'write', pull_requests: 'write' }

interface MintFlags extends AppFlags {
  repository: string[]
  permission?: Permissions
}

/** `agui-runner token`: short-lived tokens of a GitHub App, made where its key is, outside of any sandbox. */
export function tokenCommand(context: CliContext): Command {
  return new Command('token')
    .description('Make and revoke a GitHub App’s tokens (docs/credentials.md)')
    .exitOverride()
    .addCommand(mintCommand(context.env))
    .addCommand(revokeCommand(context.env))
}

function mintCommand(env: Env): Command {
  const command = new Command('mint')
    .description('Print a token for these repositories and rights; GitHub ends it after an hour')
    .requiredOption('--repository <owner/name>', 'what it is for; may repeat', collect, [])
    .option(
      '--permission <name:level>',
      'contents:write and pull_requests:write unless given; may repeat',
      permit,
    )
    .exitOverride()
  return addAppOptions(command).action(async (flags: MintFlags) => {
    const app = await readApp(flags, env)
    if (app === undefined)
      throw new RunnerError('config_invalid', 'Name the App by --app-id or GITHUB_APP_ID.')
    const { mintToken } = await import('../github-app/app-token.ts')
    const { repository: repositories, permission: permissions = PERMISSIONS } = flags
    const { token, expiresAt } = await withGitHub(env, (api) =>
      mintToken(app, { repositories, permissions }, api),
    )
    process.stderr.write(`Good until ${new Date(expiresAt).toISOString()}.\n`)
    process.stdout.write(`${token}\n`)
  })
}

function revokeCommand(env: Env): Command {
  return new Command('revoke')
    .description('End a token of `token mint` before its time; it is read from GITHUB_TOKEN, else from stdin')
    .exitOverride()
    .action(async () => {
      const token = (env['GITHUB_TOKEN'] || (await text(process.stdin))).trim()
      // A header cannot hold any other, and who refuses it there repeats it.
      if (!/^[!-~]+$/.test(token))
        throw new RunnerError('config_invalid', 'Give the token, one word, in GITHUB_TOKEN or on stdin.')
      const { revokeToken } = await import('../github-app/app-token.ts')
      await withGitHub(env, (api) => revokeToken(token, api))
      process.stderr.write('It is revoked.\n')
    })
}

async function withGitHub<T>(env: Env, work: (api: GitHubApi) => Promise<T>): Promise<T> {
  const { openGitHub } = await import('../broker/github-upstream.ts')
  const github = openGitHub(env)
  const { apiUrl } = github
  try {
    const dispatcher = await github.connections(new URL(apiUrl))
    const signal = AbortSignal.timeout(GITHUB_MS_MAX)
    return await work({ apiUrl, dispatcher, signal })
  } finally {
    await github.close()
  }
}

function collect(value: string, before: string[]): string[] {
  return [...before, value]
}

function permit(value: string, before: Permissions = {}): Permissions {
  const [, name, level] = /^([a-z_]+):(read|write|admin)$/.exec(value) ?? []
  const parsed = z.enum(['read', 'write', 'admin']).safeParse(level)
  if (name === undefined || !parsed.success)
    throw new InvalidArgumentError('Write it as contents:read, contents:write or administration:admin.')
  if (before[name] !== undefined) throw new InvalidArgumentError(`${name} is given twice.`)
  return { ...before, [name]: parsed.data }
}
