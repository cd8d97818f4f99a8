#!/bin/sh
# What /usr/local/bin/claude is in the image and what the server starts: finds the model route, then becomes
# Claude Code. Safe when Claude Code starts `claude` again by name. Writes nothing on stdout.

agui_self=$0
case $agui_self in
  */*) ;;
  *) agui_self=./$agui_self ;;
esac
# By hand: `readlink -f` is not everywhere, and it fails on what it may not search.
while [ -h "$agui_self" ]; do
  agui_link=$(readlink -- "$agui_self") || break
  case $agui_link in
    /*) agui_self=$agui_link ;;
    *) agui_self=${agui_self%/*}/$agui_link ;;
  esac
done
agui_wrappers=$(CDPATH='' cd -P -- "${agui_self%/*}/" && pwd -P)
# A copy, not a link, in /usr/local/bin.
[ -f "$agui_wrappers/model-route.sh" ] || agui_wrappers=/app/wrappers
if [ ! -r "$agui_wrappers/model-route.sh" ] || [ ! -r "$agui_wrappers/claude-start.sh" ]; then
  echo "${0##*/}: model-route.sh and claude-start.sh are neither beside this wrapper nor in /app/wrappers" >&2
  exit 127
fi
# shellcheck source=wrappers/model-route.sh disable=SC1091
. "$agui_wrappers/model-route.sh"
# shellcheck source=wrappers/claude-start.sh disable=SC1091
. "$agui_wrappers/claude-start.sh"

agui_start_claude "$@"
