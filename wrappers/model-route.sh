#!/bin/sh
# The model route: by which way Claude Code reaches a model. Decided here and nowhere else: both wrappers
# source this file, the server runs it with --print. First match wins:
#   custom   ANTHROPIC_BASE_URL names a host other than inference.local
#   gateway  ANTHROPIC_BASE_URL names inference.local, or ACP_OPENSHELL_INFERENCE is truthy
#   vertex   USE_VERTEX or CLAUDE_CODE_USE_VERTEX is truthy
#   bedrock  CLAUDE_CODE_USE_BEDROCK is truthy
#   oauth    CLAUDE_CODE_OAUTH_TOKEN
#   api_key  ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN
#   gateway  the sandbox CA is there and nothing above is
#   none
# Sourced, it defines functions and runs nothing; agui_route exports the resulting environment. Executed as
# `sh model-route.sh --print`, it writes the facts as NUL-separated KEY=VALUE and never a secret's value.
# No command is started on the way (every start of Claude Code waits for this), so only shell built-ins.
#
# shellcheck disable=SC3013  # -ef: POSIX 2024; dash, bash and busybox have it
# shellcheck disable=SC2034  # the agui_ variables are read by the files that source this one

agui_gateway_url='https://inference.local'
agui_gateway_proxy='http://10.200.0.1:3128'
agui_anthropic_url='https://api.anthropic.com'
# Sent where a client insists on a key and the gateway puts the real one in its place; not a secret.
agui_placeholder_key='inference-routing'

agui_route() {
  agui_find_sandbox_ca
  agui_decide
  case $agui_kind in
    custom) agui_use_custom ;;
    gateway) agui_use_gateway ;;
    vertex)
      agui_drop_providers
      export CLAUDE_CODE_USE_VERTEX=1
      ;;
    bedrock)
      agui_drop_providers
      export CLAUDE_CODE_USE_BEDROCK=1
      ;;
    oauth)
      # Claude Code prefers either of them to the OAuth token.
      unset ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN
      agui_drop_providers
      ;;
    api_key)
      agui_is_credential "${ANTHROPIC_API_KEY:-}" || unset ANTHROPIC_API_KEY
      agui_drop_providers
      ;;
  esac
  agui_use_ca_files
}

agui_decide() {
  agui_kind=none
  agui_reason='nothing names a route'
  if [ -n "${ANTHROPIC_BASE_URL:-}" ]; then
    agui_reason=ANTHROPIC_BASE_URL
    if agui_is_gateway_url "$ANTHROPIC_BASE_URL"; then agui_kind=gateway; else agui_kind=custom; fi
  elif agui_is_truthy "${ACP_OPENSHELL_INFERENCE:-}"; then
    agui_kind=gateway agui_reason=ACP_OPENSHELL_INFERENCE
  elif agui_is_truthy "${CLAUDE_CODE_USE_VERTEX:-}"; then
    agui_kind=vertex agui_reason=CLAUDE_CODE_USE_VERTEX
  elif agui_is_truthy "${USE_VERTEX:-}"; then
    agui_kind=vertex agui_reason=USE_VERTEX
  elif agui_is_truthy "${CLAUDE_CODE_USE_BEDROCK:-}"; then
    agui_kind=bedrock agui_reason=CLAUDE_CODE_USE_BEDROCK
  elif agui_is_credential "${CLAUDE_CODE_OAUTH_TOKEN:-}"; then
    agui_kind=oauth agui_reason=CLAUDE_CODE_OAUTH_TOKEN
  elif agui_is_credential "${ANTHROPIC_API_KEY:-}"; then
    agui_kind=api_key agui_reason=ANTHROPIC_API_KEY
  elif agui_is_credential "${ANTHROPIC_AUTH_TOKEN:-}"; then
    agui_kind=api_key agui_reason=ANTHROPIC_AUTH_TOKEN
  elif [ -f "$agui_sandbox_ca" ]; then
    agui_kind=gateway agui_reason='sandbox CA'
  fi
}

agui_use_custom() {
  agui_drop_providers
  # Without any credential Claude Code sends no request at all, so a gateway that needs none could not be used.
  [ -n "${ANTHROPIC_API_KEY:-}${ANTHROPIC_AUTH_TOKEN:-}${CLAUDE_CODE_OAUTH_TOKEN:-}" ] ||
    export ANTHROPIC_API_KEY="$agui_placeholder_key"
}

agui_use_gateway() {
  agui_drop_providers
  # An OAuth token would send Claude Code to its account services, which the sandbox cannot reach.
  unset CLAUDE_CODE_OAUTH_TOKEN
  # Exactly this: the gateway takes port 443 and paths from /v1 on, nothing else.
  export ANTHROPIC_BASE_URL="$agui_gateway_url"
  [ -n "${ANTHROPIC_API_KEY:-}${ANTHROPIC_AUTH_TOKEN:-}" ] || export ANTHROPIC_API_KEY="$agui_placeholder_key"
  agui_default HTTPS_PROXY "${https_proxy:-$agui_gateway_proxy}"
  agui_default https_proxy "$HTTPS_PROXY"
  agui_default HTTP_PROXY "${http_proxy:-$HTTPS_PROXY}"
  agui_default http_proxy "$HTTP_PROXY"
  # The sandbox has no other way out and no DNS: a cluster suffix here would send traffic into the void.
  export NO_PROXY='127.0.0.1,localhost,::1'
  export no_proxy="$NO_PROXY"
  agui_default NODE_EXTRA_CA_CERTS "$agui_sandbox_ca"
  # The gateway forwards anthropic-beta, the models behind it need not know what it names.
  agui_default CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS 1
}

# Claude Code prefers any of these to a base URL, a token or a key.
agui_drop_providers() {
  unset CLAUDE_CODE_USE_BEDROCK CLAUDE_CODE_USE_FOUNDRY CLAUDE_CODE_USE_MANTLE CLAUDE_CODE_USE_GATEWAY \
    CLAUDE_CODE_USE_ANTHROPIC_AWS CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD CLAUDE_CODE_USE_VERTEX
  [ "$agui_kind" = vertex ] || unset USE_VERTEX
}

# agui_sandbox_ca: where the supervisor writes its CA, whether or not it did.
agui_find_sandbox_ca() {
  agui_sandbox_ca=${OPENSHELL_PROXY_TLS_DIR:-/etc/openshell-tls}/openshell-ca.pem
  # The sidecar topology; an exec'ed process never sees OPENSHELL_PROXY_TLS_DIR.
  if [ -z "${OPENSHELL_PROXY_TLS_DIR:-}" ] && [ ! -f "$agui_sandbox_ca" ] &&
    [ -f /etc/openshell-tls/proxy/openshell-ca.pem ]; then
    agui_sandbox_ca=/etc/openshell-tls/proxy/openshell-ca.pem
  fi
}

agui_use_ca_files() {
  [ ! -f "$agui_sandbox_ca" ] || agui_default NODE_EXTRA_CA_CERTS "$agui_sandbox_ca"
  agui_ca=$agui_sandbox_ca
  case ${NODE_EXTRA_CA_CERTS:-} in
    */openshell-ca.pem) [ ! -f "$NODE_EXTRA_CA_CERTS" ] || agui_ca=$NODE_EXTRA_CA_CERTS ;;
  esac
  agui_bundle=${agui_ca%/*}/ca-bundle.pem
  [ -f "$agui_bundle" ] || return 0
  # These replace the system roots where Node's adds to them, so the CA alone (what the control plane sets)
  # is the worse guess: every connection that is not inspected would fail.
  agui_is_bundle_or_better "${SSL_CERT_FILE:-}" || export SSL_CERT_FILE="$agui_bundle"
  agui_is_bundle_or_better "${REQUESTS_CA_BUNDLE:-}" || export REQUESTS_CA_BUNDLE="$agui_bundle"
  agui_is_bundle_or_better "${CURL_CA_BUNDLE:-}" || export CURL_CA_BUNDLE="$agui_bundle"
  agui_is_bundle_or_better "${GIT_SSL_CAINFO:-}" || export GIT_SSL_CAINFO="$agui_bundle"
}

agui_is_bundle_or_better() {
  [ -n "$1" ] && [ "$1" != "$agui_ca" ] && [ "$1" != "$agui_sandbox_ca" ] &&
    ! [ "$1" -ef "$agui_ca" ] && ! [ "$1" -ef "$agui_sandbox_ca" ]
}

# The spellings that Claude Code itself takes for yes.
agui_is_truthy() {
  case $1 in
    1 | [Tt][Rr][Uu][Ee] | [Yy][Ee][Ss] | [Oo][Nn]) return 0 ;;
  esac
  return 1
}

# What the control plane and this file write where a key has to be is none.
agui_is_credential() {
  case $1 in
    '' | notused | "$agui_placeholder_key") return 1 ;;
  esac
}

agui_is_gateway_url() {
  agui_host=${1#*://}
  agui_host=${agui_host%%[/?#]*}
  agui_host=${agui_host##*@}
  case ${agui_host%%:*} in
    [Ii][Nn][Ff][Ee][Rr][Ee][Nn][Cc][Ee].[Ll][Oo][Cc][Aa][Ll]) return 0 ;;
  esac
  return 1
}

# agui_default NAME VALUE: exports NAME, set to VALUE unless it has a value. NAME is always a literal.
agui_default() {
  eval "[ -n \"\${$1:-}\" ] || $1=\$2; export $1"
}

# What lies between scheme and last @, and behind ? or #, may be a secret.
agui_redact() {
  case $1 in
    *://*@*) agui_shown="${1%%://*}://***@${1##*@}" ;;
    *@*) agui_shown="***@${1##*@}" ;;
    *) agui_shown=$1 ;;
  esac
  case $agui_shown in
    *[?#]*) agui_shown="${agui_shown%%[?#]*}?***" ;;
  esac
}

agui_fact() {
  printf '%s=%s\0' "$1" "$2"
}

agui_print() {
  agui_fact AGUI_ROUTE_KIND "$agui_kind"
  agui_fact AGUI_ROUTE_REASON "$agui_reason"

  case $agui_kind in
    custom | gateway) agui_url=$ANTHROPIC_BASE_URL ;;
    oauth | api_key) agui_url=$agui_anthropic_url ;;
    *) agui_url= ;;
  esac
  agui_redact "$agui_url"
  agui_fact AGUI_ROUTE_BASE_URL "$agui_shown"

  # In the order in which Claude Code looks, for http and https alike; the name, because the value may hold a password.
  agui_first_set https_proxy HTTPS_PROXY http_proxy HTTP_PROXY all_proxy ALL_PROXY
  agui_redact "$agui_proxy"
  agui_fact AGUI_ROUTE_PROXY "$agui_shown"
  agui_fact AGUI_ROUTE_PROXY_VARIABLE "$agui_proxy_variable"
  agui_fact AGUI_ROUTE_NO_PROXY "${no_proxy:-${NO_PROXY:-}}"

  agui_fact AGUI_ROUTE_CA_FILE "${NODE_EXTRA_CA_CERTS:-}"
  agui_fact AGUI_ROUTE_CA_BUNDLE "${SSL_CERT_FILE:-}"

  agui_credential=
  case $agui_kind in
    custom | gateway | api_key)
      if agui_is_credential "${ANTHROPIC_API_KEY:-}"; then
        agui_credential=ANTHROPIC_API_KEY
      elif [ -n "${ANTHROPIC_API_KEY:-}" ]; then
        agui_credential=placeholder
      elif [ -n "${ANTHROPIC_AUTH_TOKEN:-}" ]; then
        agui_credential=ANTHROPIC_AUTH_TOKEN
      else
        agui_credential=CLAUDE_CODE_OAUTH_TOKEN
      fi
      ;;
    oauth) agui_credential=CLAUDE_CODE_OAUTH_TOKEN ;;
  esac
  agui_fact AGUI_ROUTE_CREDENTIAL "$agui_credential"
}

agui_first_set() {
  for agui_proxy_variable in "$@"; do
    eval "agui_proxy=\${$agui_proxy_variable:-}"
    [ -z "$agui_proxy" ] || return 0
  done
  agui_proxy_variable=
}

case ${0##*/} in
  model-route.sh)
    if [ "$#" -ne 1 ] || [ "$1" != --print ]; then
      echo 'usage: sh model-route.sh --print' >&2
      exit 2
    fi
    agui_route
    agui_print
    ;;
esac
