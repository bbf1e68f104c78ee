#!/usr/bin/env bash
# Install the Debian packages that tests need beyond Python: a browser that opens the report page.
# What is there already is left alone; `apt-get update` runs once, and only when something is missing.
set -euo pipefail

packages=(chromium)

installed() {
  [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

if ! command -v apt-get >/dev/null; then
  echo "system-packages: no apt-get here; install by hand: ${packages[*]}" >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  if installed "$package"; then
    echo "system-packages: $package is installed"
  else
    missing+=("$package")
  fi
done
((${#missing[@]})) || exit 0

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "system-packages: not root and no sudo; run as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "system-packages: installing ${missing[*]}"
"${as_root[@]}" apt-get update --quiet --quiet
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install --quiet --quiet --yes --no-install-recommends "${missing[@]}"
echo "system-packages: done"
