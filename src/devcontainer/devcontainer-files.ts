// The files of a dev container whose way out is locked, as a pure function of policy, image and network.
import { PLACEHOLDER_KEY } from '../model-route/credentials.ts'
import type { Policy } from '../policy/read/schema.ts'
import { proxiedEnvironment } from '../sandbox/egress/proxied-environment.ts'
import {
  CERTIFICATES,
  EGRESS_UID,
  FOLDER,
  HELD_ENVIRONMENT,
  HELD_FOLDER,
  HOST_ENVIRONMENT,
  LOCK_FOLDER,
  LOCK_POLICY,
  MANAGED_SETTINGS,
  POLICY_PROXY_PORT,
  POLICY_PROXY_URL,
  SETTINGS_FOLDER,
  WORKSPACE,
} from './container-places.ts'
import { egressRules } from './egress-rules.ts'
import { managedSettingsFile } from './managed-settings-file.ts'

export interface Wanted {
  policy: Policy
  /** The text of the policy's file, unchanged. */
  policyText: string
  /** The runner's image, or one that is based on it. */
  image: string
  /** The name of an existing network of the engine. Undefined for the engine's default. */
  network: string | undefined
}

export const CONFIGURATION = 'devcontainer.json'

const MAIN = 'node /app/dist/main.js devcontainer'

/** Returns the texts of the files by their names in `.devcontainer`. */
export function devcontainerFiles(wanted: Wanted): ReadonlyMap<string, string> {
  const environment = agentEnvironment()
  return new Map([
    [CONFIGURATION, jsonText(configuration(wanted, environment))],
    ['Dockerfile', dockerfile()],
    ['egress.nft', egressRules()],
    ['entry.sh', entry()],
    ['managed-settings.json', jsonText(managedSettingsFile(wanted.policy, environment))],
    ['policy.yaml', wanted.policyText],
  ])
}

export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

/** Returns the agent's environment. The proxy also serves the model: it is the broker of docs/credentials.md. */
function agentEnvironment(): Record<string, string> {
  return {
    ANTHROPIC_BASE_URL: POLICY_PROXY_URL,
    // Claude Code accepts this variable without asking a person, unlike ANTHROPIC_API_KEY.
    ANTHROPIC_AUTH_TOKEN: PLACEHOLDER_KEY,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    ...proxiedEnvironment(POLICY_PROXY_URL, CERTIFICATES),
  }
}

function configuration({ image, network }: Wanted, containerEnv: Record<string, string>): object {
  const verify = `${MAIN} verify`
  return {
    name: 'agui-runner',
    build: { dockerfile: 'Dockerfile', args: { BASE_IMAGE: image }, options: ['--network=none'] },
    // The source of a mount has to exist.
    initializeCommand: `umask 077; mkdir -p "$HOME/${HOST_ENVIRONMENT.replace(/\/[^/]*$/, '')}" && : >>"$HOME/${HOST_ENVIRONMENT}"`,
    containerUser: 'root',
    remoteUser: 'sandbox',
    updateRemoteUserUID: true,
    overrideCommand: false,
    init: true,
    runArgs: [
      '--cap-drop=ALL',
      ...['NET_ADMIN', 'SETUID', 'SETGID', 'SETPCAP', 'DAC_READ_SEARCH'].map((name) => `--cap-add=${name}`),
      '--security-opt=no-new-privileges',
      ...(network === undefined ? [] : [`--network=${network}`]),
    ],
    workspaceFolder: WORKSPACE,
    workspaceMount: `source=\${localWorkspaceFolder},target=${WORKSPACE},type=bind`,
    mounts: [
      `source=\${localWorkspaceFolder}/${FOLDER},target=${WORKSPACE}/${FOLDER},type=bind,readonly`,
      `source=\${localEnv:HOME}/${HOST_ENVIRONMENT},target=${HELD_ENVIRONMENT},type=bind,readonly`,
    ],
    containerEnv,
    // No other command runs inside before the first, and no tool attaches before the second.
    onCreateCommand: verify,
    postStartCommand: verify,
    waitFor: 'postStartCommand',
    // A forwarded port on the developer's loopback would let any web page use the model.
    portsAttributes: { [POLICY_PROXY_PORT]: { onAutoForward: 'ignore' } },
  }
}

function dockerfile(): string {
  return `# Written by \`agui-runner devcontainer init\`. Tools of your own belong into an image that BASE_IMAGE names.
ARG BASE_IMAGE
FROM \${BASE_IMAGE}
USER root
COPY egress.nft entry.sh policy.yaml ${LOCK_FOLDER}/
COPY managed-settings.json ${MANAGED_SETTINGS}
# The agent's user gets the developer's uid only where nobody has it yet, and the base's \`node\` is 1000.
RUN sed -i '/^[^:]*:[^:]*:[1-9][0-9][0-9][0-9]:/d' /etc/passwd /etc/group && \\
    echo 'egress:x:${EGRESS_UID}:${EGRESS_UID}::/nonexistent:/usr/sbin/nologin' >>/etc/passwd && \\
    echo 'egress:x:${EGRESS_UID}:' >>/etc/group && \\
    mkdir -p ${HELD_FOLDER} ${CERTIFICATES} && \\
    touch ${HELD_ENVIRONMENT} && \\
    chmod 0700 ${HELD_FOLDER} && \\
    chown ${EGRESS_UID} ${CERTIFICATES} && \\
    chmod -R a+rX,go-w ${LOCK_FOLDER} ${SETTINGS_FOLDER}
ENTRYPOINT ["/bin/sh", "${LOCK_FOLDER}/entry.sh"]
CMD []
`
}

function entry(): string {
  return `#!/bin/sh
# The container's entry, and all that root does in it. The rules go with the network namespace at every stop, so they are
# loaded at every start; whoever holds the credentials is another user than the agent, without a capability.
set -eu
/usr/sbin/nft -f ${LOCK_FOLDER}/egress.nft
trap 'exit 0' TERM INT
env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/nonexistent \\
  setpriv --reuid ${EGRESS_UID} --regid ${EGRESS_UID} --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs \\
  ${MAIN} proxy --policy ${LOCK_POLICY} --certificates ${CERTIFICATES} <${HELD_ENVIRONMENT} &
wait $!
`
}
