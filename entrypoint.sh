#!/bin/sh
# What a control plane executes (/runner/entrypoint.sh in the image): sets what the image's environment cannot,
# because an exec does not see it, then becomes the server. Needs no argument, TTY, stdin or passwd entry; its
# exit code and its signals are the server's. Writes nothing on stdout.

self=$0
case $self in
  */*) ;;
  *) self=./$self ;;
esac
while [ -h "$self" ]; do
  link=$(readlink -- "$self") || break
  case $link in
    /*) self=$link ;;
    *) self=${self%/*}/$link ;;
  esac
done
root=$(CDPATH='' cd -P -- "${self%/*}/" && pwd -P)
# In the image this file is a copy beside nothing.
[ -f "$root/dist/main.js" ] || root=/app
if [ ! -f "$root/dist/main.js" ]; then
  echo "${0##*/}: dist/main.js is neither beside this file nor in /app (npm run build makes it)" >&2
  exit 127
fi

# An exec's PATH is the supervisor's, and a login shell's may lack Node's folder.
export PATH="${PATH:-/usr/local/bin:/usr/bin:/bin}"
if ! command -v node >/dev/null; then
  PATH=$PATH:/usr/local/bin:/usr/bin:/bin
  if ! command -v node >/dev/null; then
    echo "${0##*/}: there is no node in PATH ($PATH)" >&2
    exit 127
  fi
fi

# Kubernetes' ndots:5 sends every name through five search domains, and the static supervisor resolves badly
# with it (OpenShell issue 2053); any other number above 1 does likewise. Written in place: a bind mount cannot be
# renamed over. Mostly we may not.
resolv=/etc/resolv.conf
if [ -w "$resolv" ]; then
  text=$(cat "$resolv" 2>/dev/null)
  fixed=$(printf '%s\n' "$text" | sed -E -e '/^[[:space:]]*options[[:space:]]/ s/([[:space:]]ndots:)0*([2-9]|[1-9][0-9]+)/\11/g')
  case $fixed in
    '' | "$text") ;;
    *) { printf '%s\n' "$fixed" >"$resolv"; } 2>/dev/null ;;
  esac
fi

if [ -d /sandbox ]; then
  export WORKSPACE_PATH="${WORKSPACE_PATH:-/sandbox/workspace}"
  export RUNNER_STATE_DIR="${RUNNER_STATE_DIR:-/sandbox/.runner}"
  # Without a passwd entry HOME is unset or `/`; Claude Code has to write there.
  if [ -w /sandbox ] && { [ -z "${HOME:-}" ] || [ ! -w "$HOME" ]; }; then export HOME=/sandbox; fi
fi

# glibc keeps the holes that a load leaves between what is still in use; jemalloc gives them back and costs no more. Where it is
# not installed, glibc maps what is this large by itself, which goes back when it is freed, and has one arena instead of five.
# Who sets LD_PRELOAD, be it to nothing, has chosen. Claude Code's environment has none of these. What the loader
# cannot take (another machine's library, a damaged one) it would complain of at each start of a program.
if [ -z "${LD_PRELOAD+set}" ]; then
  for library in /usr/lib/*-linux-gnu/libjemalloc.so.2 /usr/lib64/libjemalloc.so.2; do
    if [ -r "$library" ] && said=$(LD_PRELOAD=$library MALLOC_CONF='' /bin/sh -c : 2>&1) && [ -z "$said" ]; then
      export LD_PRELOAD="$library"
      break
    fi
  done
fi
export MALLOC_CONF="${MALLOC_CONF:-narenas:1,lg_tcache_max:12,dirty_decay_ms:1000,muzzy_decay_ms:0,background_thread:true}"
export MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_:-16384}"
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-1}"

# AGUI_HOST and AGUI_PORT stay the server's: its 127.0.0.1:8001 is what the control plane's forwarding reaches,
# and the only address that is safe without a token.
# Sparkplug's code is another 2 MiB that V8 never gives back, and the processor time is the same without it.
exec node --no-sparkplug "$root/dist/main.js" serve "$@"
