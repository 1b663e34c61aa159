#!/usr/bin/env bash
# Holds the server to its own document: schemathesis reads /openapi.json and looks for answers that it does not declare, answers that do
# not fit their schemas, faults of the server, and input that is taken although it should not be. Any finding fails.
#
#   scripts/schemathesis.sh [ARGUMENT OF `st run`…]
#
# $POTOK names the binary; it is built if it is not given. Python and PyPI are needed the first time.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
version=$(sed -n 's/^schemathesis==//p' "$repo/scripts/schemathesis.txt")
venv=${XDG_CACHE_HOME:-$HOME/.cache}/potok/venv-schemathesis-$version

if ! cmp -s "$repo/scripts/schemathesis.txt" "$venv/requirements.txt"; then
    POTOK_SETUP_TESTS=1 "$repo/scripts/setup.sh"
    echo "schemathesis $version is installed into $venv" >&2
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$repo/scripts/schemathesis.txt" || {
        rm -rf "$venv"
        echo "schemathesis.sh: PyPI is needed once, for what scripts/schemathesis.txt names; 'pip install' says above why it failed" >&2
        exit 1
    }
    # Last, so that a half-made environment is made again.
    cp "$repo/scripts/schemathesis.txt" "$venv/requirements.txt"
fi

if [ -z "${POTOK:-}" ]; then
    target=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/potok/target}
    (cd "$repo" && cargo build --quiet -p potok --target-dir "$target")
    POTOK=$target/debug/potok
fi
POTOK=$(realpath "$POTOK")

scratch=$(mktemp -d)
server=
stop() {
    [ -z "$server" ] || { kill -TERM "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
    rm -rf "$scratch"
}
trap stop EXIT
trap 'exit 130' INT TERM
cd "$scratch"

mkdir data
# There before it is read.
: >log
"$POTOK" serve --listen 127.0.0.1:0 --data-dir data --sandbox 2>>log &
server=$!
for _ in $(seq 600); do
    url=$(sed -n 's|.*listening on \(http://[^ ]*\).*|\1|p' log)
    [ -z "$url" ] || break
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
done
[ -n "$url" ] || { echo "schemathesis.sh: the server did not start:" >&2; cat log >&2; exit 1; }

deploy() {
    curl -fsS -o answer -X PUT "$url/api/v1/workflows" -H 'content-type: application/yaml' --data-binary @- || { cat answer >&2; exit 1; }
}
# One with schemas of its own, local definitions among them; it ends at once, whatever fits.
deploy <<'YAML'
document: { dsl: '1.0.3', namespace: contract, name: greet, version: '1.0.0', title: Greet someone }
input:
  schema:
    document:
      type: object
      required: [name]
      additionalProperties: false
      properties:
        name: { $ref: '#/$defs/name' }
        times: { type: integer, minimum: 1, maximum: 3, default: 1 }
        how: { enum: [kindly, briefly, null] }
      $defs: { name: { type: string, minLength: 1, maxLength: 50 } }
output:
  schema: { document: { type: object, required: [greeting], properties: { greeting: { type: string } } } }
do:
  - greet: { set: { greeting: '${ "Hello, " + .name }' } }
YAML
# One that faults.
deploy <<'YAML'
document: { dsl: '1.0.3', namespace: contract, name: fault, version: '1.0.0' }
input: { schema: { document: { type: object } } }
do:
  - fault: { raise: { error: { type: 'https://example.com/errors/no', status: 418, title: No, detail: not today } } }
YAML
# One without schemas, for the general operations.
deploy <<'YAML'
document: { dsl: '1.0.3', namespace: contract, name: plain, version: '1.0.0' }
do:
  - keep: { set: '${ { kept: . } }' }
YAML

# Without its warnings, which are of what schemathesis cannot know: where to find a run to suspend, or a text that is a definition.
findings=0
"$venv/bin/st" --config-file "$repo/scripts/schemathesis.toml" run "$url/openapi.json" \
    --checks all --max-examples "${POTOK_EXAMPLES:-50}" --workers 1 --warnings off "$@" || findings=$?

# What no answer shows.
if ! curl -fsS "$url/api/health" >/dev/null; then
    echo "schemathesis.sh: the server is no longer well" >&2
    findings=1
fi
if grep -E 'panicked|request failed' log >&2; then
    echo "schemathesis.sh: the server's log has the lines above" >&2
    findings=1
fi
exit "$findings"
