// The platform's names of provider types and OpenShell's names for them (control-plane.md 3.5, 3.6).

export interface ProviderType {
  /** OpenShell's type of a provider that is attached to a sandbox. */
  type: string
  /** OpenShell's type in an inference route, where an Anthropic key has another one. Undefined when it has no route. */
  route?: string
  /** Variables that hold the credential. Empty when the user has to name them. */
  credentials: readonly string[]
  /** Whether the gateway fetches tokens itself, with the content of one of Google's credential files. */
  isGoogle?: true
}

const ANTHROPIC = { type: 'claude-code', route: 'anthropic', credentials: ['ANTHROPIC_API_KEY'] }
const GENERIC = { type: 'generic', credentials: [] }

const TYPES: ReadonlyMap<string, ProviderType> = new Map(
  Object.entries<ProviderType>({
    github: { type: 'github', credentials: ['GITHUB_TOKEN'] },
    anthropic: ANTHROPIC,
    claude: ANTHROPIC,
    'claude-code': ANTHROPIC,
    vertex: { type: 'google-vertex-ai', route: 'google-vertex-ai', credentials: [], isGoogle: true },
    openai: { ...GENERIC, route: 'openai', credentials: ['OPENAI_API_KEY'] },
    codex: {
      type: 'codex',
      credentials: [
        'CODEX_AUTH_ACCESS_TOKEN',
        'CODEX_AUTH_REFRESH_TOKEN',
        'CODEX_AUTH_ACCOUNT_ID',
        'CODEX_AUTH_ID_TOKEN',
      ],
    },
    copilot: { type: 'copilot', credentials: ['COPILOT_GITHUB_TOKEN'] },
    cursor: { type: 'cursor', credentials: [] },
    deepinfra: { type: 'deepinfra', route: 'deepinfra', credentials: ['DEEPINFRA_API_KEY'] },
    nvidia: { type: 'nvidia', route: 'nvidia', credentials: ['NVIDIA_API_KEY'] },
    pypi: { type: 'pypi', credentials: [] },
  }),
)

/** Returns the type for a platform's name. Names not in the table (jira, google, kubeconfig, mlflow, …) are generic. */
export function providerType(platformType: string): ProviderType {
  return TYPES.get(platformType) ?? GENERIC
}
