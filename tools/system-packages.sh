#!/usr/bin/env bash
# Install the Debian packages that are needed beyond Python; start.sh calls this by itself when one is missing.
#   tools/system-packages.sh build   a C compiler, venv and the Python headers, to build the kernels
#   tools/system-packages.sh test    a browser that opens the report page in its test
# What is there already is left alone; `apt-get update` runs once, and only when something is missing.
set -euo pipefail

case ${1:-} in
  build) packages=(gcc libc6-dev python3-dev python3-venv) ;;
  test) packages=(chromium) ;;
  *)
    echo "usage: tools/system-packages.sh build|test" >&2
    exit 2
    ;;
esac

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
