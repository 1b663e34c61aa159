#!/usr/bin/env bash
# Runs what the documentation tells people to type: the ```sh blocks of README.md, README.ru.md and docs/, each file's blocks in
# order, in one shell, in a fresh directory that has a copy of workflows/ and nothing else.
#
#   scripts/docs-test.sh [FILE…]
#
# $POTOK names the binary. A block that fails is reported as file:line with what it printed. Lines that begin with `make` are
# skipped, because the doors are tests themselves; ```text blocks are not run. The last command of a ```sh fails block must fail.
# What a file leaves running is stopped after it.
set -uo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
POTOK=${POTOK:-${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/potok/target}/debug/potok}
LIMIT=${POTOK_DOCS_LIMIT:-600}

if [ ! -x "$POTOK" ]; then
    echo "docs-test: there is no binary at $POTOK; build it, or say where it is: POTOK=…" >&2
    exit 2
fi
POTOK=$(realpath "$POTOK")

scratch=$(mktemp -d)
running=
# Whether a process group has a process that is more than a zombie.
alive() { cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' | awk -v group="$1" '$3 == group && $1 != "Z" { found = 1 } END { exit !found }'; }
stop() {
    [ -n "$running" ] || return 0
    kill -TERM -- "-$running" 2>/dev/null
    for _ in $(seq 100); do
        alive "$running" || break
        sleep 0.1
    done
    kill -KILL -- "-$running" 2>/dev/null
    running=
}
trap 'stop; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

mkdir "$scratch/bin"
ln -s "$POTOK" "$scratch/bin/potok"

# The documentation's ports, on this machine: free ones.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Guests are built as plugins/build.sh builds them: by the toolchain of this repository, with Debian's where the target is missing.
guests() {
    export RUSTUP_TOOLCHAIN=${RUSTUP_TOOLCHAIN:-$(cd "$repo" && rustup show active-toolchain 2>/dev/null | cut -d' ' -f1)}
    [ -n "$RUSTUP_TOOLCHAIN" ] || unset RUSTUP_TOOLCHAIN
    unset CARGO_TARGET_DIR
    export CARGO_BUILD_BUILD_DIR=${POTOK_GUEST_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/potok/guests}/docs
    [ -d "$(rustc --print sysroot 2>/dev/null)/lib/rustlib/wasm32-wasip2/lib" ] && return
    export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 PATH=/usr/lib/llvm-19/bin:$PATH
    export CARGO_UNSTABLE_BUILD_STD=std,panic_abort
    export CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS="-L native=/usr/lib/wasm32-wasi -C link-self-contained=no"
}

# The script of a file has the file's lines: a line of a block stays where it is, so that a line number means the same in both.
script() {
    awk -v api="$2" -v sandbox="$3" '
        BEGIN { run = 0 }
        NR == 1 {
            printf "%s", "set -Eeuo pipefail; __block() { printf \"@@ %s\\n\" \"$1\"; }; "
            printf "%s", "__trap() { set -eE; trap '\''printf \"\\n@@failed %s\\n\" \"$LINENO\"'\'' ERR; }; "
            print "__must_fail() { __trap; [ \"$1\" != 0 ] || { echo \"this was expected to fail\"; return 1; }; }; __trap"
            next
        }
        /^ *```/ {
            if (run && fails) { run = fails = 0; print "__must_fail $?"; next }
            if (run) { run = 0; print ""; next }
            if (other) { other = 0; print ""; next }
            if ($0 ~ /^ *```sh *$/) { run = 1; print "__block " NR; next }
            if ($0 ~ /^ *```sh fails *$/) { run = fails = 1; print "__block " NR "; set +eE; trap - ERR"; next }
            other = 1; print ""; next
        }
        !run || /^ *make / { print ""; next }
        { gsub(/127\.0\.0\.1:8080/, "127.0.0.1:" api); gsub(/127\.0\.0\.1:8090/, "127.0.0.1:" sandbox); print }
    ' "$1"
}

check() {
    local file=$1 name=${1#"$repo"/}
    grep -qE '^ *```sh( fails)? *$' "$file" || return 0
    local dir="$scratch/work" api sandbox code
    rm -rf "$dir" && mkdir "$dir" && cp -R "$repo/workflows" "$dir/workflows"
    api=$(free_port) && sandbox=$(free_port)
    script "$file" "$api" "$sandbox" >"$scratch/script"
    (
        for variable in $(compgen -e POTOK_); do
            [ "$variable" = POTOK_GUEST_TARGET_DIR ] || unset "$variable"
        done
        guests
        cd "$dir" && export POTOK_LISTEN=127.0.0.1:$api PATH="$scratch/bin:$PATH" TERM=dumb
        exec setsid timeout --kill-after=5 "$LIMIT" bash "$scratch/script"
    ) >"$scratch/log" 2>&1 </dev/null &
    running=$!
    wait "$running"
    code=$?
    stop
    local blocks
    blocks=$(grep -c '^@@ ' "$scratch/log")
    if [ "$code" = 0 ]; then
        echo "ok      $name ($blocks blocks)"
        return 0
    fi
    local line block
    block=$(grep '^@@ ' "$scratch/log" | tail -1 | cut -d' ' -f2)
    line=$(grep '^@@failed ' "$scratch/log" | tail -1 | cut -d' ' -f2)
    [ "$code" = 124 ] && echo "FAILED  $name:$block: not done after $LIMIT s" || echo "FAILED  $name:${line:-$block} (exit $code)"
    # What the block printed, and what servers said meanwhile.
    awk '/^@@ / { text = ""; next } /^@@failed / { next } { text = text "    " $0 "\n" } END { printf "%s", text }' "$scratch/log" | tail -60
    return 1
}

files=("$@")
if [ ${#files[@]} = 0 ]; then
    mapfile -t files < <(printf '%s\n' "$repo/README.md" "$repo/README.ru.md"; find "$repo/docs" -name '*.md' | sort)
fi
failed=0
for file in "${files[@]}"; do
    check "$(realpath "$file")" || failed=$((failed + 1))
done
[ "$failed" = 0 ] || { echo "docs-test: $failed of ${#files[@]} files failed" >&2; exit 1; }
