import { managedSettings } from '../claude/launch/managed-settings.ts'
import { effectiveGrants } from '../policy/decide/file-access.ts'
import type { Policy } from '../policy/read/schema.ts'
import { FOLDER, HELD_FOLDER, LOCK_FOLDER, SETTINGS_FOLDER, WORKSPACE } from './container-places.ts'

/**
 * Files with secrets, in any folder. The rules bind Claude Code's file tools and the paths that it finds in a command
 * line, not the programs that it runs.
 */
const SECRET_FILES = [
  '.env',
  '.env.*',
  '*.pem',
  '*.key',
  'id_rsa*',
  'id_ecdsa*',
  'id_ed25519*',
  '.netrc',
  '.git-credentials',
  '.ssh/**',
  '.aws/**',
  '.kube/**',
  '.docker/config.json',
  '.config/gcloud/**',
  '.config/gh/**',
]

const OTHER_USERS = ['sudo', 'su', 'doas', 'runuser', 'setpriv', 'nsenter', 'nft']

/**
 * Returns Claude Code's managed settings, which no settings of a repository or user can override: the denied files and
 * commands, and the environment with the addresses of the model and the proxy.
 */
export function managedSettingsFile(
  policy: Policy,
  environment: Readonly<Record<string, string>>,
): { env: Readonly<Record<string, string>>; permissions: { deny: string[] } } {
  const { readOnly } = effectiveGrants(policy, WORKSPACE)
  const walls = managedSettings(
    {
      read: [HELD_FOLDER],
      write: [
        ...readOnly.filter((path) => path !== '/'),
        LOCK_FOLDER,
        SETTINGS_FOLDER,
        `${WORKSPACE}/${FOLDER}`,
      ],
    },
    { isConfined: true },
  )
  return {
    env: environment,
    permissions: {
      deny: [
        ...SECRET_FILES.flatMap((name) => [`Read(//**/${name})`, `Edit(//**/${name})`]),
        ...OTHER_USERS.map((name) => `Bash(${name}:*)`),
        ...(walls.permissions?.deny ?? []),
      ],
    },
  }
}
