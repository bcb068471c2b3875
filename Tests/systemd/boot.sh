#!/usr/bin/env bash
# boot.sh NAME GROUP LAYER DIRECTORY...: boots a systemd of its own as PID 1 of a container, and becomes the process that watches over it.
#
# The container sees a copy of the host's / that is thrown away with it, and the directories under the same paths, read-only. Of the host it sees neither
# /tmp nor the network nor the processes, and none of the services that are enabled there. NAME is its name, GROUP its directory in the hierarchy of
# cgroup v2, which is there already. LAYER, if it is not empty, is a directory with what is different from the host's /, as another container has left it.
set -euo pipefail

if [ "${1:-}" != --in-own-namespace ]; then
    # The mounts below are nobody else's, and go when the last process in here does.
    exec unshare --mount --propagation private "$0" --in-own-namespace "$@"
fi
shift
name=$1 group=$2 layer=$3
shift 3

echo $$ >"$group/cgroup.procs"
# Whatever the host has, version 1 or a mixture: a container is given what is mounted here.
umount --recursive /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# systemd-nspawn keeps files in /run, and takes directories away that it believes to be its own.
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/layer /run/root
# systemd-nspawn cannot start from the host's / itself, so the layer over it is made here.
mount -t tmpfs -o mode=755,size=2g tmpfs /run/layer
mkdir /run/layer/changes /run/layer/work /run/layer/below
below=/
if [ -n "$layer" ]; then
    # A copy, because the kernel allows no layer that is inside of another.
    cp --archive "$layer/." /run/layer/below
    below=/run/layer/below:/
fi
mount -t overlay overlay -o lowerdir="$below",upperdir=/run/layer/changes,workdir=/run/layer/work /run/root

cd /run/root
# What is enabled on the host is not to run here: neither its services nor its file systems.
if [ -z "$layer" ]; then rm -rf etc/systemd/system/*.wants etc/systemd/system/*.requires etc/systemd/user/*.wants; fi
: >etc/fstab
mkdir -p etc/systemd/system-generators
ln -sf /dev/null etc/systemd/system-generators/systemd-sysv-generator
# A policy that no service starts, as images for containers have, is the host's.
rm -f usr/sbin/policy-rc.d
# Brings the index of all manual pages up to date after each package, which takes longer than everything else.
rm -f var/lib/man-db/auto-update

binds=()
for directory in "$@"; do binds+=("--bind-ro=$directory"); done
exec systemd-nspawn --boot --quiet --register=no --keep-unit --console=pipe --private-network --link-journal=no --resolv-conf=off --timezone=off \
    --machine="$name" --directory=/run/root "${binds[@]}" -- --unit=multi-user.target
