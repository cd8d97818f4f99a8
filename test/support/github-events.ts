// Events in the shapes that GitHub documents (docs.github.com/webhooks/webhook-events-and-payloads), as far as anything reads them.
const repository = (name: string) => {
  const [owner = '', short = ''] = name.split('/')
  return {
    id: 186853002,
    name: short,
    full_name: name,
    private: true,
    owner: { login: owner, type: 'Organization' },
    html_url: `https://github.com/${name}`,
    fork: name !== 'acme/app',
    visibility: 'private',
    default_branch: 'main',
  }
}
const sender = (login: string) => ({ login, id: 21031067, type: 'User', site_admin: false })
const common = (login: string) => ({ repository: repository('acme/app'), sender: sender(login) })

const pullRequest = (from: string | null) => ({
  action: 'opened',
  number: 2,
  pull_request: {
    number: 2,
    state: 'open',
    title: 'Update the README',
    user: sender('stranger'),
    head: { label: 'x:patch', ref: 'patch', sha: 'ec26c3e', repo: from === null ? null : repository(from) },
    base: { label: 'acme:main', ref: 'main', sha: 'f95f852', repo: repository('acme/app') },
  },
})

export const EVENTS = {
  push: {
    name: 'push',
    payload: { ref: 'refs/heads/main', before: '6113728', after: 'f95f852', commits: [], ...common('ada') },
  },
  ownPull: { name: 'pull_request', payload: { ...pullRequest('acme/app'), ...common('ada') } },
  forkPull: { name: 'pull_request', payload: { ...pullRequest('stranger/app'), ...common('stranger') } },
  /** Its fork was deleted. */
  gonePull: { name: 'pull_request', payload: { ...pullRequest(null), ...common('stranger') } },
  target: { name: 'pull_request_target', payload: { ...pullRequest('stranger/app'), ...common('stranger') } },
  comment: (login: string) => ({
    name: 'issue_comment',
    payload: {
      action: 'created',
      issue: { number: 1, title: 'Spelling error', user: sender('ada'), state: 'open' },
      comment: { id: 492700400, user: sender(login), author_association: 'NONE', body: '@agent fix it' },
      ...common(login),
    },
  }),
  dispatch: {
    name: 'workflow_dispatch',
    payload: {
      inputs: null,
      ref: 'refs/heads/main',
      workflow: '.github/workflows/agent.yml',
      ...common('ada'),
    },
  },
  /** It carries no repository in the documented shape. */
  schedule: { name: 'schedule', payload: { schedule: '30 5 * * 1,3' } },
} as const
