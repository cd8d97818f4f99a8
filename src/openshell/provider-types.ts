// What a platform calls a provider, and what OpenShell calls it (control-plane.md 3.5, 3.6).

export interface ProviderType {
  /** OpenShell's, for what is attached to a sandbox. */
  type: string
  /** Of the inference route; undefined where none is made of it. An Anthropic key has another type there. */
  route?: string
  /** Variables that hold the credential; empty where whoever launches has to name them. */
  credentials: readonly string[]
  /** The gateway fetches tokens itself, with what a file of Google's holds. */
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

/** Of every name: what is not in the table (jira, google, kubeconfig, mlflow, …) is generic. */
export function providerType(platformType: string): ProviderType {
  return TYPES.get(platformType) ?? GENERIC
}
