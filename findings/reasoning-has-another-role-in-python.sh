#!/usr/bin/env bash
# The start of a reasoning message in AG-UI's own SDKs: two releases of the Python one take only the role `assistant`, which the
# JavaScript clients of that time and all others refuse for `reasoning`. No event is read by both, and a server cannot tell
# which of them asks; either way a refused event ends the reading of the stream.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cores=(0.0.45 0.0.49 0.0.53 0.0.59)
packages=()
for version in "${cores[@]}"; do packages+=("core-${version//./-}@npm:@ag-ui/core@$version"); done
npm install --silent --no-audit --no-fund --ignore-scripts "${packages[@]}" >/dev/null 2>&1
protocols=(0.1.12 0.1.13 0.1.14 0.1.22)
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check pydantic==2.14.4 >/dev/null
for version in "${protocols[@]}"; do
  env/bin/pip install --quiet --disable-pip-version-check --no-deps --target "python-$version" "ag-ui-protocol==$version" >/dev/null
done
cat >look.mjs <<'JS'
for (const version of process.argv.slice(2)) {
  const { EventSchemas } = await import(`core-${version.replaceAll('.', '-')}`)
  const takes = (role) => EventSchemas.safeParse({ type: 'REASONING_MESSAGE_START', messageId: 'm', role }).success
  console.log(`@ag-ui/core ${version}: ${['assistant', 'reasoning'].filter(takes)}`)
}
JS
cat >look.py <<'PY'
from importlib.metadata import version

from ag_ui.core import Event
from pydantic import TypeAdapter, ValidationError


def takes(role):
    try:
        TypeAdapter(Event).validate_python({'type': 'REASONING_MESSAGE_START', 'messageId': 'm', 'role': role})
        return True
    except ValidationError:
        return False


print(f"ag-ui-protocol {version('ag-ui-protocol')}: {','.join(filter(takes, ['assistant', 'reasoning']))}")
PY
got=$(
  node look.mjs "${cores[@]}"
  for version in "${protocols[@]}"; do PYTHONPATH="$folder/python-$version" env/bin/python look.py; done
)
echo "$got"
# Seen on 2026-11-28, Node 20.20.2, Python 3.11.7.
expected='@ag-ui/core 0.0.45: reasoning
@ag-ui/core 0.0.49: reasoning
@ag-ui/core 0.0.53: reasoning
@ag-ui/core 0.0.59: reasoning
ag-ui-protocol 0.1.12: assistant
ag-ui-protocol 0.1.13: assistant
ag-ui-protocol 0.1.14: reasoning
ag-ui-protocol 0.1.22: reasoning'
[ "$got" = "$expected" ] || { echo 'not as it was seen' >&2; exit 1; }
