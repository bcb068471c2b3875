#!/usr/bin/env bash
# Makes the documentation of the Swift libraries from their comments and the catalogue, in .build/docs, and checks it: every link leads somewhere,
# every parameter is described or none, and the code of the tutorial compiles. Needs a debug build.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly products=(LockdClient LockdClientServiceLifecycle)
readonly output=.build/docs
build=$(swift build --show-bin-path)
target=$(swiftc -print-target-info | sed -n 's/^ *"triple": "\(.*\)",/\1/p' | head -n 1)
modules=(-I "$build/Modules" -Xcc "-fmodule-map-file=$build/CUnix.build/module.modulemap")

fail() {
    printf 'docs: %s\n' "$@" >&2
    exit 1
}

command -v docc >/dev/null || fail "there is no docc on PATH; it is part of Swift's toolchain"

rm -rf "$output"
for product in "${products[@]}"; do
    graphs=$output/$product.symbols catalogue=Sources/$product/$product.docc
    mkdir -p "$graphs"
    swift symbolgraph-extract -module-name "$product" -target "$target" "${modules[@]}" -minimum-access-level public \
        -skip-synthesized-members -output-dir "$graphs"
    [ -d "$catalogue" ] || catalogue=
    docc convert $catalogue --additional-symbol-graph-dir "$graphs" --fallback-display-name "$product" \
        --fallback-bundle-identifier "lockd.$product" --output-dir "$output/$product.doccarchive" --warnings-as-errors
done

for step in Sources/LockdClient/LockdClient.docc/Resources/turns-[0-9]*.swift; do
    swiftc -typecheck -swift-version 6 -warnings-as-errors "${modules[@]}" "$step" || fail "$step does not compile"
done

echo "docs: .build/docs/LockdClient.doccarchive; to read it: docc preview, or any web server"
