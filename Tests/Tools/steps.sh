#!/usr/bin/env bash
# steps.sh TARGET...: makes one target after the other, under headings with the time, and ends with the times of all.
# Stops at the first that fails, names it, and exits as it did.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit

bold='' plain=''
if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; fi

minutes() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

number=0
times=()
for target in "$@"; do
    number=$((number + 1))
    started=$SECONDS
    printf '\n%s[%s] %d/%d make %s%s\n' "$bold" "$(minutes "$SECONDS")" "$number" $# "$target" "$plain"
    "${MAKE:-make}" --no-print-directory "$target"
    status=$?
    if [ "$status" -ne 0 ]; then
        printf '\n%s[%s] make %s failed; to see only that again: make %s%s\n' "$bold" "$(minutes "$SECONDS")" "$target" "$target" "$plain" >&2
        exit "$status"
    fi
    times+=("$(printf '%8s  %s' "$(minutes $((SECONDS - started)))" "$target")")
done

printf '\n%s[%s] all passed%s\n' "$bold" "$(minutes "$SECONDS")" "$plain"
printf '%s\n' "${times[@]}"
