// The places inside the dev container, whose image is that of Dockerfile.openshell.

/** The only user whose packets leave the container. The image's own users are 10001 and 10002. */
export const EGRESS_UID = 10_003

export const POLICY_PROXY_PORT = 3128
export const POLICY_PROXY_URL = `http://127.0.0.1:${POLICY_PROXY_PORT}`

/** The folder of the rules, the policy and the entry. Root owns it, like everything that the lock depends on. */
export const LOCK_FOLDER = '/etc/agui-runner/devcontainer'
export const LOCK_POLICY = `${LOCK_FOLDER}/policy.yaml`
export const SETTINGS_FOLDER = '/etc/claude-code'
export const MANAGED_SETTINGS = `${SETTINGS_FOLDER}/managed-settings.json`

/** A folder that only root can enter, so the owner of the developer's file in it does not matter. */
export const HELD_FOLDER = '/etc/agui-runner/held'
export const HELD_ENVIRONMENT = `${HELD_FOLDER}/environment`

/** The folder where the proxy writes the certificates that programs must trust. */
export const CERTIFICATES = '/run/agui-runner/egress'

export const WORKSPACE = '/sandbox/workspace'

/** The folder in the repository. It is read-only in the container, because the host acts on its content. */
export const FOLDER = '.devcontainer'

/** The file on the host, below HOME, with the proxy's environment and its credentials. */
export const HOST_ENVIRONMENT = '.config/agui-runner/devcontainer.env'
