#!/bin/sh
# Builds .venv from a lock of exact versions with hashes: sh .ci/install-packages.sh requirements.lock
set -eu

fits() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' >/dev/null 2>&1
}

if ! fits .venv/bin/python; then
    for python in python3 python3.12 python3.11 none; do
        fits "$python" && break
    done
    if [ "$python" = none ]; then
        echo "The portal needs Python 3.11 or 3.12, and neither python3, python3.12 nor python3.11 is one. Install it and try again." >&2
        exit 1
    fi
    rm -rf .venv
    if ! "$python" -m venv .venv; then
        rm -rf .venv
        echo "$python could not make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv" >&2
        exit 1
    fi
fi

echo "Installing $1 into .venv …"
if ! .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$1"; then
    echo "The packages of $1 could not be installed (see above). Is a package index within reach?" >&2
    exit 1
fi
