#!/usr/bin/env bash
# Sets up what building (and with --tests, testing) virga needs: Debian packages, libtorch, the test's Python client.
# With --bench also what `virga bench engine` compares with.
# Repeatable: what is there is left alone, and when all is there no network is used. An interrupted run leaves nothing
# half done: downloads go to a folder of their own and are renamed into place at the end.
#   VIRGA_TORCH=DIR       use your own libtorch 2.11 (DIR/include and DIR/lib) instead of downloading it
#   XDG_CACHE_HOME=DIR    keep libtorch below DIR/virga instead of ~/.cache/virga
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/virga"
torch_home="$cache/libtorch-2.11.0"
python_home="$cache/python-$(sha256sum "$here/python-tests.txt" | cut -c1-12)"
bench_home="$cache/llama-cpp-python-0.3.36"
need_mib=3072  # download 590 MB, unpacked 1.1 GB, and as much again while both lie there

say() { printf '[setup] %s\n' "$*"; }
die() { printf '[setup] error: %s\n' "$*" >&2; exit 1; }

wanted_packages() { grep -hv '^#' "$@"; }

missing_packages() {
  wanted_packages "$@" | while read -r name; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
  done
}

setup_packages() {  # files with names
  if ! command -v dpkg-query >/dev/null; then
    say "no Debian packages here; needed are: $(wanted_packages "$@" | tr '\n' ' ')"
    return
  fi
  local missing
  missing=$(missing_packages "$@" | tr '\n' ' ')
  if [ -z "$missing" ]; then
    say "Debian packages: all there"
    return
  fi
  if [ "$(id -u)" != 0 ]; then
    die "Debian packages are missing and you are not root. Run this line, then the same command again:
  sudo apt-get update && sudo apt-get install -y --no-install-recommends $missing"
  fi
  say "Debian packages: installing $missing"
  apt-get update -qq
  # shellcheck disable=SC2086  # a list of names
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

check_disk() {
  local free_mib
  free_mib=$(df -Pm "$cache" | awk 'NR==2 {print $4}')
  [ "$free_mib" -ge "$need_mib" ] || die "libtorch needs $need_mib MiB while it is unpacked, $cache has $free_mib MiB free.
  Free some space, point XDG_CACHE_HOME to a larger disk, or give your own libtorch: VIRGA_TORCH=DIR"
}

download_torch() {  # $1: folder for the wheels
  say "libtorch: downloading 3 files, 590 MB (once per user)"
  python3 -m pip download --quiet --progress-bar on --no-deps --no-cache-dir --require-hashes --only-binary=:all: \
    --python-version 3.11 --implementation cp --abi cp311 --abi none \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux_2_17_x86_64 \
    --platform manylinux2014_x86_64 --dest "$1" --requirement "$here/libtorch.txt" ||
    die "libtorch could not be downloaded (see above). Run the same command again; or give your own: VIRGA_TORCH=DIR"
}

setup_torch() {
  if [ -n "${VIRGA_TORCH:-}" ]; then
    [ -e "$VIRGA_TORCH/include/ATen/ATen.h" ] && [ -e "$VIRGA_TORCH/lib/libtorch_cpu.so" ] ||
      die "VIRGA_TORCH=$VIRGA_TORCH has no include/ATen/ATen.h and lib/libtorch_cpu.so: give the folder that holds libtorch's include/ and lib/"
    say "libtorch: yours, $VIRGA_TORCH"
    return
  fi
  if [ -e "$torch_home/torch/include/ATen/ATen.h" ]; then
    say "libtorch: $torch_home"
    return
  fi
  [ "$(uname -m)" = x86_64 ] || die "there is no pinned libtorch for $(uname -m): give your own, VIRGA_TORCH=DIR"
  rm -rf "$cache"/setup.??????  # of a run that was killed
  check_disk
  local work
  work=$(mktemp -d "$cache/setup.XXXXXX")
  # shellcheck disable=SC2064  # the folder's name is wanted now
  trap "rm -rf '$work'" EXIT
  download_torch "$work/wheels"
  say "libtorch: unpacking to $torch_home"
  python3 "$here/unpack_wheels.py" "$work/wheels" "$work/libtorch"
  rm -rf "$torch_home"
  mv "$work/libtorch" "$torch_home"
  rm -rf "$work"
}

setup_python() {
  if [ -e "$python_home/ready" ]; then
    say "Python client for the tests: $python_home"
    return
  fi
  say "Python client for the tests: installing to $python_home (once per user)"
  rm -rf "$python_home"
  python3 -m venv "$python_home"
  "$python_home/bin/python" -m pip install --quiet --only-binary=:all: --requirement "$here/python-tests.txt" ||
    die "the Python client could not be installed (see above). Run the same command again"
  touch "$python_home/ready"
}

# llama.cpp with what this processor can do, for `virga bench engine` alone (some 8 minutes on 2 cores).
setup_bench() {
  if [ -e "$bench_home/ready" ]; then
    say "llama.cpp for the benchmark: $bench_home"
    return
  fi
  say "llama.cpp for the benchmark: building in $bench_home (once per user)"
  rm -rf "$bench_home"
  python3 -m venv "$bench_home"
  CMAKE_ARGS="-DGGML_NATIVE=ON" "$bench_home/bin/python" -m pip install --quiet --no-binary llama-cpp-python \
    --requirement "$here/../bench/llama/requirements.txt" || die "llama.cpp could not be built (see above). Run the same command again"
  touch "$bench_home/ready"
}

one_at_a_time() {
  mkdir -p "$cache"
  exec 9>"$cache/setup.lock"
  flock -n 9 || { say "another set-up runs: waiting for it"; flock 9; }
}

case "${1:-}" in
  "") one_at_a_time; setup_packages "$here/packages.txt"; setup_torch ;;
  --tests) one_at_a_time; setup_packages "$here/packages.txt" "$here/packages-tests.txt"; setup_torch; setup_python ;;
  --bench) one_at_a_time; setup_packages "$here/packages.txt"; setup_bench ;;
  --python) echo "$python_home/bin/python" ;;  # where the tests' Python is
  *) die "unknown option $1; known are --tests, --bench and --python" ;;
esac
