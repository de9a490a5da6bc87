#!/bin/sh
# A Chromium for the browser tests: the system's, else Debian's by apt-get, else Playwright's own.
set -eu

if command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Debian's chromium …"
    export DEBIAN_FRONTEND=noninteractive
    if apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null &&
        command -v chromium >/dev/null 2>&1; then
        exit 0
    fi
    echo "apt-get could not install chromium; trying Playwright's own." >&2
fi
if ! .venv/bin/playwright install chromium; then
    echo "No browser for the tests: install chromium with your system's packages and try again." >&2
    exit 1
fi
