#!/usr/bin/env bash
# Builds the guests: the shipped plugins and the fixtures. Prints the directory that holds the components.
#
# It needs rustc's target wasm32-wasip2 and gets it by rustup; where that cannot be had, Debian's packages build the standard
# library. The build goes to $POTOK_GUEST_TARGET_DIR (default: ~/.cache/potok/guests), never into the checkout.
set -euo pipefail
cd "$(dirname "$0")"

TARGET=wasm32-wasip2
export CARGO_TARGET_DIR=${POTOK_GUEST_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/potok/guests}

say() { echo "plugins/build.sh: $*" >&2; }

# What a cargo around this one has set is not meant for the guests.
for name in $(compgen -e); do
    case $name in
        CARGO_HOME | CARGO_TARGET_DIR | CARGO_NET_* | CARGO_HTTP_* | CARGO_REGISTRIES_* | CARGO_REGISTRY_*) ;;
        CARGO | CARGO_* | __CARGO_* | RUSTFLAGS | RUSTDOCFLAGS | RUSTC | RUSTC_* | RUSTDOC | OUT_DIR | HOST | NUM_JOBS | OPT_LEVEL | PROFILE | DEBUG) unset "$name" ;;
    esac
done

has_target() { [ -d "$(rustc --print sysroot)/lib/rustlib/$TARGET/lib" ]; }

# Debian's compiler and the source of the standard library; its packages are installed when they are missing.
debian() {
    local packages=(rustc-web libstd-rust-web-dev rust-web-src lld-19 wasi-libc)
    if ! dpkg -s "${packages[@]}" >/dev/null 2>&1; then
        say "installing Debian's packages instead: ${packages[*]}"
        if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
            say "that needs root on Debian. Either make 'rustup target add $TARGET' work, or install them yourself."
            exit 1
        fi
        if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y "${packages[@]}"; } >&2; then
            say "neither rustup's target nor Debian's packages can be had: without one of them the plugins cannot be built."
            exit 1
        fi
    fi
    export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
    export PATH=/usr/lib/llvm-19/bin:$PATH
    export RUSTFLAGS="$RUSTFLAGS -L native=/usr/lib/wasm32-wasi -C link-self-contained=no"
    extra=(-Zbuild-std=std,panic_abort)
}

extra=()
# The same source gives the same component wherever it is built: no path of this machine goes into it.
export RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=/registry --remap-path-prefix=$PWD=/plugins"
if ! has_target; then
    say "adding the target $TARGET"
    if ! command -v rustup >/dev/null || ! rustup target add "$TARGET" >&2; then
        say "rustup cannot add the target $TARGET"
    fi
    has_target || debian
fi

cargo build --quiet --locked --release --target "$TARGET" "${extra[@]}" "$@"
echo "$CARGO_TARGET_DIR/$TARGET/release"
