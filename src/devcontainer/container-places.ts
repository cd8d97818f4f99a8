// Where things are inside the dev container; the image is that of Dockerfile.openshell.

/** The one user whose packets leave. The image's own users are 10001 and 10002. */
export const EGRESS_UID = 10_003

export const POLICY_PROXY_PORT = 3128
export const POLICY_PROXY_URL = `http://127.0.0.1:${POLICY_PROXY_PORT}`

/** The rules, the policy and the entry: root's, like everything that the lock stands on. */
export const LOCK_FOLDER = '/etc/agui-runner/devcontainer'
export const LOCK_POLICY = `${LOCK_FOLDER}/policy.yaml`
export const SETTINGS_FOLDER = '/etc/claude-code'
export const MANAGED_SETTINGS = `${SETTINGS_FOLDER}/managed-settings.json`

/** Root alone may look into it, so whose the developer's file in it is does not matter. */
export const HELD_FOLDER = '/etc/agui-runner/held'
export const HELD_ENVIRONMENT = `${HELD_FOLDER}/environment`

/** The proxy writes there what programs have to trust. */
export const CERTIFICATES = '/run/agui-runner/egress'

export const WORKSPACE = '/sandbox/workspace'

/** The folder in the repository. In the container nobody can write it: the host would do what it says. */
export const FOLDER = '.devcontainer'

/** On the host, below HOME: the proxy's environment, with the credentials. */
export const HOST_ENVIRONMENT = '.config/agui-runner/devcontainer.env'
