#!/usr/bin/env bash
# build-deb.sh: makes the Debian package from the release build, in .build/deb, and says where it is.
#
# The same programs and the same commit give the same package, byte for byte. The version is that of LockdVersion; as long as CHANGELOG.md has no
# section for that, with the time of the last commit behind it, so that each package is later than those of earlier commits and earlier than the release.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly output=.build/deb
readonly stage=$output/stage

fail() {
    printf 'build-deb: %s\n' "$@" >&2
    exit 1
}

for program in lockd lockctl; do
    [ -x ".build/release/$program" ] || fail "there is no .build/release/$program; run: make release"
    ! ldd ".build/release/$program" | grep -q libswift || fail \
        ".build/release/$program needs the libraries of Swift, which are not where the package goes; run: make release"
done
command -v dh >/dev/null || fail "there is no debhelper; run: make setup"

release=$(sed -n 's/.*static let current = "\(.*\)"/\1/p' Sources/LockdModel/Version.swift)
[ -n "$release" ] || fail "no version found in Sources/LockdModel/Version.swift"
# Outside of a clone, as from an archive of the sources, the date of the change log has to do.
time=$(git log -1 --format=%ct 2>/dev/null || stat --format=%Y CHANGELOG.md)
export SOURCE_DATE_EPOCH=$time
version=$release
grep -q "^## $release\b" CHANGELOG.md || version=$release~$(date --utc --date="@$time" +%Y%m%d%H%M%S)

rm -rf "$stage" "$output"/lockd_*
mkdir -p "$stage/docs" "$stage/man"
cp -r systemd/debian "$stage"
cp .build/release/lockd .build/release/lockctl CHANGELOG.md systemd/lockd.conf "$stage"
cp README.md docs/clients.md docs/guarantees.md docs/json.md docs/operating.md docs/protocol.md "$stage/docs"
cp docs/man/* "$stage/man"
cp -r docs/examples/prometheus "$stage"
for script in bash/lockctl zsh/_lockctl fish/lockctl.fish; do
    mkdir -p "$stage/$(dirname "$script")"
    # They are read by shells, and not run: a line that says what runs them is wrong there.
    .build/release/lockctl --generate-completion-script "$(dirname "$script")" | sed '1{/^#!/d}' >"$stage/$script"
done
for file in systemd/lockd.*; do
    case $file in
        *.service | *.socket | *.sysusers | *.tmpfiles) cp "$file" "$stage/debian/" ;;
    esac
done
cp systemd/user/lockd.service "$stage/debian/lockd.user.service"
cp systemd/user/lockd.socket "$stage/debian/lockd.user.socket"
if [ -e systemd/lockd.catalog ]; then
    cp systemd/lockd.catalog "$stage"
    echo "lockd.catalog usr/lib/systemd/catalog" >>"$stage/debian/lockd.install"
fi
{
    printf 'lockd (%s-1) unstable; urgency=medium\n\n' "$version"
    printf '  * What has changed is in /usr/share/doc/lockd/changelog.gz.\n\n'
    printf ' -- %s  %s\n' "$(sed -n 's/^Maintainer: //p' systemd/debian/control)" "$(date --utc --rfc-email --date="@$time")"
} >"$stage/debian/changelog"

log=$output/log
(cd "$stage" && dpkg-buildpackage --build=binary --no-sign --no-check-builddeps) >"$log" 2>&1 || {
    cat "$log" >&2
    fail "dpkg-buildpackage failed; the above is also in $log"
}
rm -rf "$stage"
echo "$output"/lockd_*.deb
