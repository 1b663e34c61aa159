#!/usr/bin/env bash
# The main job, whole: a bundled book becomes posts in a channel. The model and Telegram are the sandbox's, reached over HTTP as the real
# ones would be; nothing else is needed.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${POTOK:?set POTOK to the binary, or use make demo}"
work=$(mktemp -d)
sandbox=
finish() {
    [ -n "$sandbox" ] && kill "$sandbox" 2>/dev/null && wait "$sandbox" 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT

"$POTOK" sandbox --listen 127.0.0.1:0 --data-dir "$work/sandbox" >"$work/sandbox.out" &
sandbox=$!
for _ in $(seq 100); do
    grep -q '^OpenAI' "$work/sandbox.out" && break
    kill -0 "$sandbox" 2>/dev/null || { echo "potok: the sandbox did not start" >&2; exit 1; }
    sleep 0.1
done
bot=$(awk '/^Bot API/ { print $3 }' "$work/sandbox.out")
token=$(awk '/^Bot token/ { print $3 }' "$work/sandbox.out")
model=$(awk '/^OpenAI/ { print $2 }' "$work/sandbox.out")
name=$(awk '/^Model/ { print $2 }' "$work/sandbox.out")
admin=$(awk '/^Admin/ { print $2 }' "$work/sandbox.out")
export POTOK_TELEGRAM_API_URL=$bot POTOK_TELEGRAM_BOTS_DEFAULT=$token POTOK_AI_BASE_URL=$model POTOK_AI_MODEL=$name

for book in alice-in-wonderland kashtanka; do
    echo "== $book" >&2
    "$POTOK" run workflows/book-to-channel.yaml --data-dir "$work/data" \
        --file "book=workflows/books/$book.txt" --input '{"channel": "@potok_sandbox", "posts": 5}' >"$work/$book.json"
done

echo
echo "What the channel holds now:"
curl -fsS "$admin/channels/@potok_sandbox/messages" >"$work/messages.json"
python3 - "$work/messages.json" <<'PY'
import json, sys
posts = json.load(open(sys.argv[1]))
posts = posts.get("messages", posts) if isinstance(posts, dict) else posts
for post in posts:
    print(f"\n--- post {post['message_id']} " + "-" * 60)
    print(post["text"])
print(f"\n{len(posts)} posts")
sys.exit(0 if len(posts) >= 5 else 1)
PY
