#!/usr/bin/env bash
# Prints which properties of the language's schema no passing conformance scenario has executed, and nothing else. Those that are left for
# later are in tests/conformance/later.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/potok/target}
POTOK_CONFORMANCE=gaps cargo test --quiet -p potok-tests --test conformance
