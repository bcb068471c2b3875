#!/usr/bin/env bash
# plain.sh SOCKET DIRECTORY: takes one name over and over, with socat and nothing else, and has never heard that a daemon can end.
#
# Says what crowd.py says: `ready`, and at the end of its input an object of JSON.
set -euo pipefail

exec 9>>"$2/shell"
coproc daemon { exec socat -t 60 - "UNIX-CONNECT:$1"; }
former=none count=0

broken() {
    printf '{"broken": ["plain.sh (%s): %s"], "counts": {}, "late": [], "seen": []}\n' $$ "$1"
    exit
}

# Says a line, and reads until the answer, which begins with that word; what was said before may come once more.
ask() {
    local line
    echo "$1" >&"${daemon[1]}"
    while IFS= read -r line <&"${daemon[0]}"; do
        case $line in
            "$2 shell token=$former" | "* RESTORED "*) ;;
            "GRANTED shell token="* | "RELEASED shell token="*)
                answer=${line##*=}
                [ "${line%% *}" != "$2" ] || return 0
                ;;
            *) broken "$2 was due, and not: $line" ;;
        esac
    done
    broken "$2 was due, and the stream has ended"
}

first=yes
while [ -n "$first" ] || ! read -rt 0; do
    ask "ACQUIRE shell" GRANTED
    token=$answer
    flock --nonblock 9 || broken "granted with token=$token, and somebody else holds it"
    echo "$token" >&9
    sleep 0.01
    flock --unlock 9
    ask "RELEASE shell" RELEASED
    [ "$answer" = "$token" ] || broken "token=$token was held, and token=$answer released"
    former=$token count=$((count + 1))
    [ -z "$first" ] || echo ready
    first=
done
printf '{"broken": [], "counts": {"granted": %s}, "late": [], "seen": []}\n' "$count"
