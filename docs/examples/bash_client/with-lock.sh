#!/usr/bin/env bash
# with-lock.sh NAME COMMAND [ARGUMENT]...: waits for the lease on NAME, runs the command while it is held, and exits as that does.
#
# The lease belongs to socat, which is the process that connects. It ends with socat's input, and so with this script, however that ends.
set -euo pipefail

# A name is bytes; all but the visible characters without #, % and = are spelled %XX.
escape() {
    local LC_ALL=C text=$1 index character
    for ((index = 0; index < ${#text}; index++)); do
        character=${text:index:1}
        case $character in
        [\"\$\&-\<\>-~!]) printf '%s' "$character" ;;
        *) printf '%%%02X' "$(($(printf '%d' "'$character") & 255))" ;;
        esac
    done
}

# The next line that is an answer; what begins with * was not asked for.
answer() {
    while IFS= read -r -u "$from" line; do
        case $line in
        '* LOST '*) printf 'with-lock.sh: %s\n' "$line" >&2 ;;
        '* '*) ;;
        *) return 0 ;;
        esac
    done
    printf 'with-lock.sh: lockd has closed the connection, or is not there: %s\n' "$socket" >&2
    exit 69
}

[ $# -ge 2 ] || {
    printf 'usage: with-lock.sh NAME COMMAND [ARGUMENT]...\n' >&2
    exit 64
}
socket=${LOCKD_SOCKET:-/run/lockd/lockd.sock}
name=$(escape "$1")
shift

trap '' PIPE
coproc LOCKD { exec socat - UNIX-CONNECT:"$socket"; }
exec {to}>&"${LOCKD[1]}" {from}<&"${LOCKD[0]}"

printf 'ACQUIRE %s\n' "$name" >&"$to" || true
answer
case $line in
"GRANTED $name token="*) ;;
*)
    printf 'with-lock.sh: %s\n' "$line" >&2
    exit 69
    ;;
esac

status=0
# The command has nothing to do with the connection; did it keep that open, the lease would outlive this script.
LOCKD_TOKEN=${line##* token=} "$@" {to}>&- {from}<&- || status=$?

printf 'RELEASE %s\n' "$name" >&"$to" || true
answer
case $line in
"RELEASED $name "*) exit "$status" ;;
*)
    printf 'with-lock.sh: the lease was lost while the command ran: %s\n' "$line" >&2
    exit 76
    ;;
esac
