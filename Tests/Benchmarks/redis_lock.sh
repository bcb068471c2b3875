#!/bin/sh
# redis_lock.sh SOCKET KEY COMMAND [ARGUMENT…]: runs a command under a lock of Redis, as such scripts do it.
#
# The lock is a key that is set if it is not there, with a time to live; while it is there, it is asked for again 20 times a second. The
# release deletes the key only if it is this script's still.
set -eu
socket=$1 key=$2
shift 2
read -r token </proc/sys/kernel/random/uuid
until [ "$(redis-cli -s "$socket" SET "$key" "$token" NX PX 30000)" = OK ]; do
    sleep 0.05
done
status=0
"$@" || status=$?
release='if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) else return 0 end'
if [ "$(redis-cli -s "$socket" EVAL "$release" 1 "$key" "$token")" != 1 ]; then
    echo "redis_lock.sh: the lock $key was lost while the command ran" >&2
    exit 1
fi
exit "$status"
