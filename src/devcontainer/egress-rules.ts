import { EGRESS_UID } from './container-places.ts'

/**
 * Returns the nftables rules, which decide by user. Their order is measured (docs/devcontainer.md): the engine's name
 * service is on loopback, so it is refused before loopback is accepted.
 */
export function egressRules(): string {
  return `# Only this table: \`flush ruleset\` would take the engine's own rules for its name service away.
add table inet agui_egress
delete table inet agui_egress
table inet agui_egress {
  chain output {
    type filter hook output priority 0; policy drop;
    meta skuid ${EGRESS_UID} accept
    # The engine's name service asks the outside on everybody's behalf: names carry data out.
    ip daddr 127.0.0.11 counter reject with icmpx type admin-prohibited
    oif lo accept
    ct state established,related accept
    counter reject with icmpx type admin-prohibited
  }
}
`
}
