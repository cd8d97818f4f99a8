#!/bin/sh
# File mode: Claude Code under `openshell-sandbox` when OPENSHELL_ENABLED is truthy, with the policy that
# OPENSHELL_POLICY_RULES and OPENSHELL_POLICY_DATA name; else the same as openshell-claude-wrapper.sh.
# Writes nothing on stdout.
#
# shellcheck disable=SC2154  # agui_claude is claude-start.sh's

# From 0.0.111 on (OpenShell pull 2726) the command's stdin and stdout end in the supervisor's session log, so
# nobody could talk to Claude Code through it.
agui_version_max=0.0.110

agui_self=$0
case $agui_self in
  */*) ;;
  *) agui_self=./$agui_self ;;
esac
while [ -h "$agui_self" ]; do
  agui_link=$(readlink -- "$agui_self") || break
  case $agui_link in
    /*) agui_self=$agui_link ;;
    *) agui_self=${agui_self%/*}/$agui_link ;;
  esac
done
agui_wrappers=$(CDPATH='' cd -P -- "${agui_self%/*}/" && pwd -P)
[ -f "$agui_wrappers/model-route.sh" ] || agui_wrappers=/app/wrappers
if [ ! -r "$agui_wrappers/model-route.sh" ] || [ ! -r "$agui_wrappers/claude-start.sh" ]; then
  echo "${0##*/}: model-route.sh and claude-start.sh are neither beside this wrapper nor in /app/wrappers" >&2
  exit 127
fi
# shellcheck source=wrappers/model-route.sh disable=SC1091
. "$agui_wrappers/model-route.sh"
# shellcheck source=wrappers/claude-start.sh disable=SC1091
. "$agui_wrappers/claude-start.sh"

agui_start_supervised() {
  agui_supervisor=$(command -v openshell-sandbox) || {
    agui_fail 'OPENSHELL_ENABLED is set, but there is no openshell-sandbox in PATH' 127
    return
  }
  agui_check_version || return
  agui_check_policy_file OPENSHELL_POLICY_RULES "${OPENSHELL_POLICY_RULES:-}" || return
  agui_rules=$agui_canonical
  agui_check_policy_file OPENSHELL_POLICY_DATA "${OPENSHELL_POLICY_DATA:-}" || return
  agui_data=$agui_canonical
  # The policy names binaries by the path that the kernel reports.
  agui_find_claude || return
  agui_canonicalize "$agui_claude"
  export CLAUDE_CLI_PATH="$agui_canonical"
  agui_clean_network || return
  # Inside, the other wrapper finds the route: the proxy and the CA do not exist before the supervisor runs.
  # The workspace is named, so that the policy's include_workdir covers it.
  exec "$agui_supervisor" --policy-rules "$agui_rules" --policy-data "$agui_data" \
    --log-level "${OPENSHELL_LOG_LEVEL:-warn}" --workdir "$(pwd -P)" \
    -- "$agui_wrappers/openshell-claude-wrapper.sh" "$@"
}

agui_check_version() {
  agui_version=$("$agui_supervisor" --version 2>/dev/null </dev/null)
  # "openshell-sandbox 0.0.110-dev.1+abc": the first number and what of dots and digits follows.
  agui_version=${agui_version#"${agui_version%%[0-9]*}"}
  agui_version=${agui_version%%[!0-9.]*}
  case $agui_version in
    [0-9]*.[0-9]*.[0-9]*) ;;
    *)
      echo "${0##*/}: openshell-sandbox does not tell its version; supported is up to $agui_version_max" >&2
      return 0
      ;;
  esac
  agui_patch=${agui_version#*.}
  agui_patch=${agui_patch#*.}
  case ${agui_version%".$agui_patch"} in
    0.0) [ "${agui_patch%%.*}" -gt "${agui_version_max##*.}" ] || return 0 ;;
  esac
  agui_fail "openshell-sandbox $agui_version is not supported in file mode, at most $agui_version_max is: newer ones do not pass stdin and stdout on" 126
}

agui_check_policy_file() {
  if [ -z "$2" ]; then
    agui_fail "OPENSHELL_ENABLED is set, but $1 is not: it has to name the policy file" 2
  elif [ ! -f "$2" ] || [ ! -r "$2" ]; then
    agui_fail "$1 ($2) is not a readable file" 2
  else
    agui_canonicalize "$2"
  fi
}

# agui_canonical: an existing file's absolute path without any link in it.
agui_canonicalize() {
  agui_canonical=$1
  while [ -h "$agui_canonical" ]; do
    agui_link=$(readlink -- "$agui_canonical") || break
    case $agui_link in
      /*) agui_canonical=$agui_link ;;
      *) agui_canonical=$(dirname -- "$agui_canonical")/$agui_link ;;
    esac
  done
  agui_canonical=$(CDPATH='' cd -P -- "$(dirname -- "$agui_canonical")" && pwd -P)/${agui_canonical##*/}
}

# A supervisor that was killed leaves its namespace and its link behind; their route then swallows what is meant
# for the next proxy. One that lives must be left alone, and a second one has no place: the subnet is fixed.
agui_clean_network() {
  PATH=$PATH:/usr/sbin:/sbin
  for agui_namespace in $(ip netns list 2>/dev/null </dev/null); do
    case $agui_namespace in
      sandbox-*) ;;
      *) continue ;; # the "(id: 0)" behind a name, or another program's namespace
    esac
    if agui_is_supervised "$agui_namespace"; then
      agui_fail "an openshell-sandbox runs already (network namespace $agui_namespace); there can be one at a time" 126
      return
    fi
    ip link delete "veth-h-${agui_namespace#sandbox-}" >/dev/null 2>&1 </dev/null
    ip netns delete "$agui_namespace" >/dev/null 2>&1 </dev/null
  done
  # Replies arrive at the host's end of the link from a subnet it has no other route to. Where this may not be
  # set, the supervisor says what it misses.
  mount -o remount,rw /proc/sys >/dev/null 2>&1 </dev/null
  sysctl -q -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 >/dev/null 2>&1 </dev/null
  return 0
}

# A namespace's first process is the supervisor's child.
agui_is_supervised() {
  for agui_pid in $(ip netns pids "$1" 2>/dev/null </dev/null); do
    agui_parent=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$agui_pid/status" 2>/dev/null)
    [ -n "$agui_parent" ] || continue
    # The kernel keeps 15 characters of a name.
    case $(cat "/proc/$agui_parent/comm" 2>/dev/null) in
      openshell-sandb*) return 0 ;;
    esac
  done
  return 1
}

# OPENSHELL_SANDBOX: already inside one, where `claude` was started by name.
if agui_is_truthy "${OPENSHELL_ENABLED:-}" && [ -z "${OPENSHELL_SANDBOX:-}" ]; then
  agui_start_supervised "$@"
else
  agui_start_claude "$@"
fi
