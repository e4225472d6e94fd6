#!/usr/bin/env bash
# Sets up what building (and with --tests, testing) virga needs: Debian packages, libtorch, the test's Python client.
# With --bench also what `virga bench engine` compares with; with --cuda CUDA's libraries and headers beside libtorch, for the
# preset `cuda` (docs/deploying.md).
# Repeatable: what is there is left alone, and when all is there no network is used. An interrupted run leaves nothing
# half done: downloads go to a folder of their own and are renamed into place at the end.
#   VIRGA_TORCH=DIR       use your own libtorch 2.11 (DIR/include and DIR/lib) instead of downloading it
#   XDG_CACHE_HOME=DIR    keep libtorch below DIR/virga instead of ~/.cache/virga
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/virga"
torch_home="$cache/libtorch-2.11.0"
cuda_home="$cache/libtorch-2.11.0-cuda"
python_home="$cache/python-$(sha256sum "$here/python-tests.txt" | cut -c1-12)"
bench_home="$cache/llama-cpp-python-0.3.36"
need_mib=3072  # download 590 MB, unpacked 1.1 GB, and as much again while both lie there
cuda_need_mib=6144  # download 2.0 GB, unpacked 2.7 GB

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

check_disk() {  # $1: what for, $2: MiB
  local free_mib
  free_mib=$(df -Pm "$cache" | awk 'NR==2 {print $4}')
  [ "$free_mib" -ge "$2" ] || die "$1 needs $2 MiB while it is unpacked, $cache has $free_mib MiB free.
  Free some space, point XDG_CACHE_HOME to a larger disk, or give your own libtorch: VIRGA_TORCH=DIR"
}

download() {  # $1: file with names and hashes, $2: folder for the wheels
  local platforms=() p
  for p in manylinux_2_28 manylinux_2_27 manylinux_2_25 manylinux_2_18 manylinux_2_17 manylinux2014; do
    platforms+=(--platform "${p}_x86_64")
  done
  python3 -m pip download --quiet --progress-bar on --no-deps --no-cache-dir --require-hashes --only-binary=:all: \
    --python-version 3.11 --implementation cp --abi cp311 --abi none "${platforms[@]}" --dest "$2" --requirement "$1" ||
    die "the download failed (see above). Run the same command again; or give your own libtorch: VIRGA_TORCH=DIR"
}

# A folder that goes away with this run; the rest of a run that was killed goes first.
work_folder() {
  rm -rf "$cache"/setup.??????
  work=$(mktemp -d "$cache/setup.XXXXXX")
  # shellcheck disable=SC2064  # the folder's name is wanted now
  trap "rm -rf '$work'" EXIT
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
  work_folder
  check_disk libtorch "$need_mib"
  say "libtorch: downloading 3 files, 590 MB (once per user)"
  download "$here/libtorch.txt" "$work/wheels"
  say "libtorch: unpacking to $torch_home"
  python3 "$here/unpack_wheels.py" "$work/wheels" "$work/libtorch" torch/lib/libtorch_cpu.so
  rm -rf "$torch_home"
  mv "$work/libtorch" "$torch_home"
  rm -rf "$work"
}

# libtorch again (as hard links, so for nothing), and where its CUDA half looks for them the libraries that it was built with.
setup_cuda() {
  if [ -n "${VIRGA_TORCH:-}" ]; then
    [ -e "$VIRGA_TORCH/lib/libtorch_cuda.so" ] ||
      die "VIRGA_TORCH=$VIRGA_TORCH has no lib/libtorch_cuda.so: give a libtorch 2.11 that was built with CUDA, or leave VIRGA_TORCH away"
    return
  fi
  if [ -e "$cuda_home/nvidia/cu13/include/cuda_runtime_api.h" ]; then
    say "CUDA: $cuda_home"
    return
  fi
  work_folder
  check_disk CUDA "$cuda_need_mib"
  say "CUDA: downloading 15 files, 2.0 GB (once per user)"
  download "$here/libtorch-cuda.txt" "$work/wheels"
  say "CUDA: unpacking to $cuda_home"
  python3 "$here/unpack_wheels.py" "$work/wheels" "$work/libtorch" nvidia/cu13/include/cuda_runtime_api.h --headers
  cp -al "$torch_home/torch" "$work/libtorch/torch"
  rm -rf "$cuda_home"
  mv "$work/libtorch" "$cuda_home"
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
  # No cache: it would give what was built once with other flags.
  CMAKE_ARGS="-DGGML_NATIVE=ON" "$bench_home/bin/python" -m pip install --quiet --no-cache-dir --no-binary llama-cpp-python \
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
  --cuda) one_at_a_time; setup_packages "$here/packages.txt"; setup_torch; setup_cuda ;;
  --python) echo "$python_home/bin/python" ;;  # where the tests' Python is
  *) die "unknown option $1; known are --tests, --bench, --cuda and --python" ;;
esac
