#!/usr/bin/env bash
# Installs what the demo, the tests and the checks need and this machine does not have: Debian packages, and a Python environment in
# .build/venv with the pinned packages of Tests/requirements.txt and the client library. Says what it does. Does nothing where nothing is missing.
#
# set-up.sh packaging: installs what the Debian package is made and tested with, instead.
#
# PYTHON=/path/to/python3 chooses the Python to make the environment from.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly swift_minimum=6.2 python_minimum=3.10
readonly environment=.build/venv
readonly stamp=$environment/installed

say() { printf 'set-up: %s\n' "$*"; }

fail() {
    printf 'set-up: %s\n' "$@" >&2
    exit 1
}

# at_least VERSION MINIMUM
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

check_swift() {
    command -v swift >/dev/null || fail \
        "swift is not on PATH; lockd needs Swift $swift_minimum or later." \
        "Get it from https://www.swift.org/install/linux/, then open a new shell, or add its usr/bin to PATH."
    local version
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9.]*\).*/\1/p' | head -n 1)
    at_least "${version:-0}" "$swift_minimum" || fail \
        "$(command -v swift) is Swift ${version:-of an unknown version}; lockd needs $swift_minimum or later." \
        "Get it from https://www.swift.org/install/linux/."
}

# install_packages PACKAGE...: the Debian packages that are not installed yet.
install_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "this needs Debian packages; as root, run: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    command -v apt-get >/dev/null || fail "there is no apt-get here; install what Debian calls ${missing[*]}, then try again."
    say "installing Debian packages: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends -qq "${missing[@]}" >/dev/null
}

# Whether $1 is a Python that is new enough and can make an environment with pip in it (Debian's cannot without python3-venv).
python_serves() {
    "$1" -c "import ensurepip, venv, sys; sys.exit(sys.version_info < (${python_minimum/./, }))" >/dev/null 2>&1
}

# Prints the Python to use: $PYTHON, or the first of those on PATH and in /usr/bin that serves.
find_python() {
    if [ -n "${PYTHON:-}" ]; then
        python_serves "$PYTHON" || fail "PYTHON=$PYTHON is not Python $python_minimum or later with the modules venv and ensurepip."
        echo "$PYTHON"
        return
    fi
    local candidate
    for candidate in python3 /usr/bin/python3; do
        if python_serves "$candidate"; then
            echo "$candidate"
            return
        fi
    done
}

# The tests that util-linux has for its flock(1), which lockctl flock has to pass as well. They are in its source only, and Debian keeps no version for
# ever: without them, the test that runs them is skipped.
fetch_flock_tests() {
    local url=http://deb.debian.org/debian/pool/main/u/util-linux/util-linux_2.42.4.orig.tar.xz
    local sum=fbd62a100ab7bb8746ba0661255c3c48185b1e9021507c624da01fbc696330ec
    local folder=.build/util-linux helper=/usr/lib/apt/apt-helper
    [ ! -d $folder/tests ] && [ -x $helper ] || return 0
    say "fetching the tests of util-linux into $folder"
    mkdir -p $folder
    if $helper -qq -o APT::Sandbox::User="$(id -un)" download-file $url $folder/source.tar.xz "SHA256:$sum" 2>/dev/null; then
        tar --extract --file $folder/source.tar.xz --directory $folder --strip-components 1 --wildcards '*/tests/functions.sh' '*/tests/commands.sh' \
            '*/tests/ts/flock' '*/tests/expected/flock'
        rm $folder/source.tar.xz
    else
        say "they cannot be had, so their test is skipped: $url"
    fi
}

# What the environment was made from: another path, Python, requirement or build description, and it is made anew.
fingerprint() {
    { pwd && "$1" --version && cat Tests/requirements.txt Sources/python/pyproject.toml Tests/Tools/set-up.sh; } | sha256sum
}

make_environment() {
    local python=$1 wanted=$2
    say "making a Python environment in $environment ($("$python" --version)); this takes about half a minute"
    rm -rf "$environment"
    "$python" -m venv "$environment"
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --requirement Tests/requirements.txt
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable Sources/python
    echo "$wanted" >"$stamp"
}

if [ "${1:-}" = packaging ]; then
    if command -v apt-get >/dev/null; then
        install_packages debhelper lintian man-db mandoc systemd-container
    else
        say "no apt-get, so no Debian package can be made here; its tests are skipped"
    fi
    exit
fi

check_swift

# One at a time: a second make in this folder waits here, and then finds everything done.
mkdir -p .build
exec 9>.build/set-up.lock
flock 9

# Swift's package manager calls git and pkg-config; the tests call socat, complete command lines in zsh and fish, run what has a terminal to itself, and
# util-linux' tests call pgrep. PROGRAM=PACKAGE where the package is called otherwise.
programs=()
for program in git pkg-config socat zsh fish less vim ssh=openssh-client pgrep=procps; do
    command -v "${program%=*}" >/dev/null || programs+=("${program#*=}")
done
[ ${#programs[@]} -eq 0 ] || install_packages "${programs[@]}"

# The daemon is built with libsystemd; the tests start it with systemd-socket-activate, which needs no systemd that runs.
pkg-config --exists libsystemd || install_packages libsystemd-dev
command -v systemd-socket-activate >/dev/null || install_packages systemd

# What reads the metrics in the tests. Out of its package, because to install that would start a service.
if [ ! -x .build/prometheus/usr/bin/promtool ] && command -v apt-get >/dev/null; then
    say "fetching Prometheus into .build/prometheus"
    mkdir -p .build/prometheus
    (cd .build/prometheus && apt-get download -qq -o APT::Sandbox::User="$(id -un)" prometheus && dpkg-deb --extract prometheus_*.deb . && rm prometheus_*.deb)
fi

fetch_flock_tests

python=$(find_python)
if [ -z "$python" ]; then
    install_packages python3 python3-venv
    python=$(find_python)
    [ -n "$python" ] || fail "the distribution's Python is older than $python_minimum; set PYTHON to a newer one, like PYTHON=/opt/python/bin/python3."
fi

wanted=$(fingerprint "$python")
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || ! "$environment/bin/python" -c 'import lockd' 2>/dev/null; then
    make_environment "$python" "$wanted"
fi
