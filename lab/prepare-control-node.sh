#!/bin/sh
# Installs what the control node lacks: Debian packages (lab/packages.txt), then the virtual environment .venv from requirements.lock.
# Nothing is touched when everything is there. Run it by `make venv`.
set -eu
cd "$(dirname "$0")/.."

missing=
for package in $(sed 's/#.*//' lab/packages.txt); do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null; then
        echo "The lab needs Debian 12 or newer as its control node: apt-get was not found, and these packages are missing:$missing" >&2
        exit 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        echo "These Debian packages are missing; install them as root, then run this again: apt-get install$missing" >&2
        exit 1
    fi
    echo "Installing Debian packages:$missing"
    apt-get update -qq
    # Recommended packages would bring services that nobody asked for.
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
fi

if ! cmp -s requirements.lock .venv/requirements.lock; then
    echo "Installing the control node's Python packages into .venv (one to two minutes)"
    [ -x .venv/bin/python ] || /usr/bin/python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
    cp requirements.lock .venv/requirements.lock
fi
