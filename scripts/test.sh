#!/usr/bin/env bash
# The tests: `fast` (everything, with few seeds) or `all` (long crash runs and wide seed ranges too).
set -euo pipefail
cd "$(dirname "$0")/.."
tier=${1:-fast}
export POTOK_TEST_TIER=$tier
# Set here so that the door, CI and a person at the keyboard run the same seeds.
[ "$tier" = all ] && export POTOK_SEEDS=${POTOK_SEEDS:-10000} || export POTOK_SEEDS=${POTOK_SEEDS:-1000}

echo "== guests"
cargo test --quiet --manifest-path plugins/Cargo.toml --target-dir "$POTOK_GUEST_TARGET_DIR/host" --workspace
echo "== workspace"
cargo build --quiet -p potok
export POTOK="$CARGO_TARGET_DIR/debug/potok"
cargo test --quiet --workspace
echo "== tests of the shipped workflows"
"$POTOK" test workflows
echo "== commands in the documentation"
scripts/docs-test.sh
echo "== API contract"
scripts/schemathesis.sh
