#!/usr/bin/env bash
# Compares the public interface of the Swift libraries with that of the last release, the last tag that is a version: within one compatible version (the
# first number, or for 0 the second one too) nothing that a program may use goes or changes. It builds both, which takes minutes.
#
# BASELINE=COMMIT compares with that one instead, whatever its version.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly version_file=Sources/LockdModel/Version.swift

# compatible VERSION: what two versions have in common that promise the same.
compatible() {
    case $1 in
    0.*) echo "$1" | cut -d . -f 1,2 ;;
    *) echo "$1" | cut -d . -f 1 ;;
    esac
}

baseline=${BASELINE:-}
if [ -z "$baseline" ]; then
    baseline=$(git tag --list --merged HEAD --sort=-version:refname 'v[0-9]*' | head -n 1)
    if [ -z "$baseline" ]; then
        echo "api: there is no release yet, and nothing to compare with"
        exit
    fi
    current=$(sed -n 's/.*static let current = "\(.*\)"/\1/p' "$version_file")
    if [ "$(compatible "${baseline#v}")" != "$(compatible "$current")" ]; then
        echo "api: $current may differ from $baseline"
        exit
    fi
fi

echo "api: comparing with $baseline; both are built, which takes some minutes"
swift package diagnose-api-breaking-changes "$baseline" --products LockdClient --products LockdClientServiceLifecycle
