#!/usr/bin/env bash
# Makes sure that what the doors need is there. As root on Debian it installs what is missing; else it says what to install.
set -euo pipefail

missing=()
command -v cargo >/dev/null || { echo "potok: a Rust toolchain is needed: https://rustup.rs" >&2; exit 1; }
command -v cc >/dev/null || missing+=(gcc libc6-dev)
command -v curl >/dev/null || missing+=(curl)
command -v python3 >/dev/null || missing+=(python3)
if [ "${POTOK_SETUP_TESTS:-}" = 1 ]; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
fi
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    else
        echo "potok: please install: ${missing[*]}" >&2
        exit 1
    fi
fi
