#!/usr/bin/env bash
# The one entry to Candlewright: makes the environment when it is missing or out of date, then hands the verb to `python -m tools`.
# From: the clone this file lies in. To: .venv/ beside pyproject.toml, and the commands in tools/.
#
#   PYTHON=python3.12 tools/start.sh setup        another interpreter (3.11 to 3.13)
#   CANDLEWRIGHT_VENV=/path tools/start.sh ...    another place for the environment
#   CANDLEWRIGHT_TORCH_INDEX=URL                  package index for torch alone, such as PyTorch's own CPU index
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${CANDLEWRIGHT_VENV:-$root/.venv}
stamp=$venv/candlewright.stamp

say() { printf 'candlewright: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  die "no Python 3.11, 3.12 or 3.13 found${PYTHON:+ (PYTHON=$PYTHON was tried first)}; install one (Debian 12: apt-get install python3)"
}

# Everything an installation depends on: where it lies, what is installed, from which sources, by which script.
fingerprint() {
  (cd "$root" && pwd && cat pyproject.toml constraints.txt tools/start.sh kernels/pyproject.toml &&
    find kernels -maxdepth 1 -name setup.py -exec cat {} + &&
    find kernels/src -type f \( -name '*.py' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -name '*.pxi' \) -print0 |
    LC_ALL=C sort -z | xargs -0 cat) | { sha256sum 2>/dev/null || shasum -a 256; } | cut -d' ' -f1
}

# A compiler, venv and the Python headers come from the system; one script installs what is missing.
need_system_packages() {
  local python=$1
  if ! command -v cc >/dev/null || ! "$python" -c 'import ensurepip, sysconfig, pathlib, sys
sys.exit(not (pathlib.Path(sysconfig.get_paths()["include"]) / "Python.h").exists())' 2>/dev/null; then
    say "a C compiler, python3-venv or the Python headers are missing: running tools/system-packages.sh build"
    "$root/tools/system-packages.sh" build
  fi
}

install_everything() {
  local python started=$SECONDS pip torch_index=() clear=()
  python=$(find_python)
  need_system_packages "$python"
  pip=("$venv/bin/python" -m pip --disable-pip-version-check install --quiet --no-input)
  if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    say "[1/5] making a virtual environment in ${venv#"$root"/} with $("$python" --version)"
    # Our own that was killed half made, or whose Python is gone, is emptied; an environment somebody names never is.
    [ -n "${CANDLEWRIGHT_VENV:-}" ] || [ ! -f "$venv/pyvenv.cfg" ] || clear=(--clear)
    "$python" -m venv ${clear[@]+"${clear[@]}"} "$venv"
  else
    say "[1/5] bringing the virtual environment in ${venv#"$root"/} up to date"
  fi
  rm -f "$stamp"
  say "[2/5] build tools"
  "${pip[@]}" -c "$root/constraints.txt" pip setuptools wheel cython numpy
  say "[3/5] torch 2.13.0 (the largest part; minutes on a slow line)"
  [ -z "${CANDLEWRIGHT_TORCH_INDEX:-}" ] || torch_index=(--index-url "$CANDLEWRIGHT_TORCH_INDEX")
  "${pip[@]}" ${torch_index[@]+"${torch_index[@]}"} -c "$root/constraints.txt" torch==2.13.0
  say "[4/5] compiling the kernels"
  "${pip[@]}" --no-build-isolation --no-deps --force-reinstall "$root/kernels"
  say "[5/5] Freqtrade, BentoML, MLflow and the rest"
  "${pip[@]}" --no-build-isolation -c "$root/constraints.txt" -e "${root}[train,search,cluster,serve,trade,exchange,report,dev]"
  fingerprint >"$stamp"
  say "environment ready after $((SECONDS - started)) s"
}

ensure_environment() {
  if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$(fingerprint)" ]; then
    mkdir -p "$(dirname "$venv")"
    exec 9>"$venv.lock"
    if command -v flock >/dev/null; then  # macOS has none; there two first runs at once are the user's to avoid
      flock -n 9 || { say "another start.sh is installing; waiting for it"; flock 9; }
    fi
    if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$(fingerprint)" ]; then
      trap 'say "installation failed; the message above says where. Run the same command again to go on from there."' EXIT
      install_everything  # on its own: behind `if`, `!` or `||`, bash goes on after a step that failed
      trap - EXIT
    fi
    exec 9>&-
  fi
}

ensure_environment
export CANDLEWRIGHT_HOME=$root
exec "$venv/bin/python" -m tools "$@"
