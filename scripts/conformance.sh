#!/usr/bin/env bash
# Runs the conformance scenarios and writes docs/conformance.md.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/potok/target}
POTOK_CONFORMANCE=document cargo test --quiet -p potok-tests --test conformance
