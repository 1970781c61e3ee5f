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
    # Some packages bring a service, of which the tests want the program only: Debian's Redis asks for no password. So it is kept from starting
    # (invoke-rc.d(8)), now and at the next boot.
    policy=/usr/sbin/policy-rc.d
    if [ -d /run/systemd/system ] && [ ! -e $policy ]; then
        trap 'rm -f $policy' EXIT
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    # Recommended packages would bring services that nobody asked for.
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
    for service in redis-server postgresql prometheus-alertmanager; do
        case "$missing " in
        *" $service "*) [ ! -d /run/systemd/system ] || systemctl disable --quiet $service ;;
        esac
    done
fi

if ! cmp -s requirements.lock .venv/requirements.lock; then
    echo "Installing the control node's Python packages into .venv (one to two minutes)"
    [ -x .venv/bin/python ] || /usr/bin/python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
    cp requirements.lock .venv/requirements.lock
fi
