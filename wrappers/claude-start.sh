#!/bin/sh
# What both wrappers do once the route stands: the settings that belong to every start of Claude Code, its
# onboarding state, its binary. Sourced after model-route.sh, with agui_wrappers naming this folder; executed as
# `sh claude-start.sh --print`, it names the binary that a wrapper would run (NUL-separated KEY=VALUE).
#
# shellcheck disable=SC3013  # -ef: POSIX 2024; dash, bash and busybox have it
# shellcheck disable=SC2154  # agui_wrappers is the sourcing file's

# Claude Code may start `claude` again by name, and that one again: never this often, unless in a circle.
agui_depth_max=16

# Replaces this process by Claude Code; returns only with a failure.
agui_start_claude() {
  agui_route
  agui_count_depth || return
  agui_find_claude || return
  agui_use_settings
  agui_use_onboarding_state
  exec "$agui_claude" "$@"
}

agui_fail() {
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  return "$2"
}

agui_count_depth() {
  agui_depth=${AGUI_CLAUDE_DEPTH:-0}
  case $agui_depth in
    *[!0-9]* | 0?* | ????*) agui_depth=0 ;;
  esac
  if [ "$agui_depth" -ge "$agui_depth_max" ]; then
    agui_fail "started $agui_depth times inside itself: CLAUDE_CLI_PATH (${CLAUDE_CLI_PATH:-unset}) leads back to this wrapper" 127
    return
  fi
  export AGUI_CLAUDE_DEPTH=$((agui_depth + 1))
}

# agui_claude: the binary that CLAUDE_CLI_PATH names, else the image's (bin/claude beside this folder), else the
# one npm installed for the Agent SDK.
agui_find_claude() {
  if [ -n "${CLAUDE_CLI_PATH:-}" ]; then
    case $CLAUDE_CLI_PATH in
      */*) agui_claude=$CLAUDE_CLI_PATH ;;
      *) agui_claude=$(command -v -- "$CLAUDE_CLI_PATH") ;;
    esac
    if agui_is_wrapper "$agui_claude"; then
      agui_fail "CLAUDE_CLI_PATH ($CLAUDE_CLI_PATH) is this wrapper; it has to name the Claude Code binary, or be unset" 127
    elif ! agui_is_program "$agui_claude"; then
      agui_fail "CLAUDE_CLI_PATH ($CLAUDE_CLI_PATH) is not an executable file" 127
    fi
    return
  fi
  agui_claude=${agui_wrappers%/*}/bin/claude
  if agui_is_program "$agui_claude" && ! agui_is_wrapper "$agui_claude"; then return 0; fi
  agui_find_npm_claude ||
    agui_fail "Claude Code is not installed under ${agui_wrappers%/*} (run npm ci with optional dependencies, or set CLAUDE_CLI_PATH)" 127
}

# As Node resolves a package: this folder's parent and every folder above it.
agui_find_npm_claude() {
  agui_above=$agui_wrappers
  while [ -n "$agui_above" ]; do
    agui_above=${agui_above%/*}
    agui_package=$agui_above/node_modules/@anthropic-ai/claude-agent-sdk-linux
    agui_claude=
    if agui_is_program "$agui_package-x64/claude"; then agui_claude=$agui_package-x64/claude; fi
    if agui_is_program "$agui_package-arm64/claude"; then
      # Both are there only when someone installed for two machines; then only the kernel knows which.
      case ${agui_claude:+$(uname -m)} in
        '' | aarch64 | arm64) agui_claude=$agui_package-arm64/claude ;;
      esac
    fi
    [ -z "$agui_claude" ] || return 0
  done
  return 1
}

agui_is_program() {
  [ -f "$1" ] && [ -x "$1" ]
}

agui_is_wrapper() {
  [ "$1" -ef "$0" ] || [ "$1" -ef "$agui_wrappers/openshell-claude-wrapper.sh" ] ||
    [ "$1" -ef "$agui_wrappers/standard-claude-wrapper.sh" ]
}

agui_use_settings() {
  # An exec without a passwd entry may come without HOME.
  if [ -z "${HOME:-}" ] && [ -d /sandbox ]; then export HOME=/sandbox; fi
  agui_default CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC 1
  agui_default DISABLE_AUTOUPDATER 1
  agui_default DISABLE_TELEMETRY 1
  agui_default DISABLE_ERROR_REPORTING 1
}

# Without it an interactive start asks for a theme and a login, and older versions look up api.anthropic.com.
# Written beside and linked into place, so that nobody reads half of it and a file that is there stays.
agui_use_onboarding_state() {
  agui_state_folder=${CLAUDE_CONFIG_DIR:-${HOME:-}}
  agui_state=$agui_state_folder/.claude.json
  if [ -z "$agui_state_folder" ] || [ -e "$agui_state" ] || [ -h "$agui_state" ]; then return 0; fi
  (
    umask 077
    set -C
    mkdir -p -- "$agui_state_folder"
    agui_new=$agui_state.new.$$
    { echo '{"hasCompletedOnboarding":true}' >"$agui_new"; } || exit
    # Not every file system has links; there, O_EXCL has to do.
    ln -- "$agui_new" "$agui_state" || { [ -e "$agui_state" ] || cat "$agui_new" >"$agui_state"; }
    rm -f -- "$agui_new"
  ) </dev/null >/dev/null 2>&1
  return 0
}

case ${0##*/} in
  claude-start.sh)
    if [ "$#" -ne 1 ] || [ "$1" != --print ]; then
      echo 'usage: sh claude-start.sh --print' >&2
      exit 2
    fi
    agui_wrappers=$(CDPATH='' cd -P -- "$(dirname -- "$0")" && pwd -P) || exit 127
    agui_find_claude || exit
    printf 'AGUI_CLAUDE_PATH=%s\0' "$agui_claude"
    ;;
esac
