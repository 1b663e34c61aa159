#!/usr/bin/env bash
# Format, clippy, licences and advisories.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo fmt --all --check
cargo fmt --all --check --manifest-path plugins/Cargo.toml
cargo clippy --workspace --all-targets --quiet -- -D warnings
cargo clippy --quiet --manifest-path plugins/Cargo.toml --target-dir "$POTOK_GUEST_TARGET_DIR/host" --workspace --all-targets -- -D warnings
if command -v cargo-deny >/dev/null; then
    cargo deny --offline --all-features check bans licenses sources
else
    echo "cargo-deny is not installed (cargo install cargo-deny --locked): licences were not checked" >&2
fi
