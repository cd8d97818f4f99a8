import { agentContract, contractScript } from '../support/agent-contract.ts'
import { scriptedAgent } from '../support/scripted-agent.ts'

agentContract('the scripted agent', async () => {
  const agent = scriptedAgent({
    script: contractScript('weather'),
    tools: { Bash: async () => 'touched' },
    asks: ['Bash'],
  })
  return { agent, openGate: agent.openGate, close: async () => undefined }
})
