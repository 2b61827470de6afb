#!/usr/bin/env bash
# Runs the device side on the aarch64 wheels, emulated by qemu-user, and compares it with this machine:
# MFCCs, the FP32, FP16 and INT8 models, files and streams, the voice detector. `make aarch64` calls it.
#
#   deploy/aarch64/check.sh            # on x86-64 Debian or Ubuntu; downloads about 120 MB the first time
#
# Needs to reach a Debian mirror and a package index, python3 with venv (3.10 to 3.13), apt-get,
# dpkg-deb, and qemu-user-static, debian-archive-keyring, gcc-aarch64-linux-gnu and libc6-dev-arm64-cross
# (`sudo apt install` all). Needs no root itself: Debian's arm64 packages are unpacked into build/aarch64, with
# an apt configuration of their own there.
#
#   PYTHON=python3.12           the Python of this machine
#   DEBIAN_MIRROR=http://…      default http://deb.debian.org/debian
#   ONNXRUNTIME=1.23.2          newer ones crash at import under Debian 12's qemu 7.2
#   QEMU_CPU=cortex-a76         the nearest to Orin's Cortex-A78AE that qemu 7.2 knows
#   OUT=FILE.json               where the figures go; default benchmarks/results/aarch64.json
set -euo pipefail
cd "$(dirname "$0")/../.."
repo=$PWD

PYTHON=${PYTHON:-python3}
DEBIAN_MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
ONNXRUNTIME=${ONNXRUNTIME:-1.23.2}
OUT=${OUT:-benchmarks/results/aarch64.json}
export QEMU_CPU=${QEMU_CPU:-cortex-a76}
# Emulated threads only wait for each other.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

work=$repo/build/aarch64
root=$work/root
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf '\n== %s\n' "$*"; }
die() { printf 'aarch64: %s\n' "$*" >&2; exit 1; }

check_tools() {
  local tool
  for tool in apt-get dpkg-deb qemu-aarch64-static aarch64-linux-gnu-gcc "$PYTHON"; do
    command -v "$tool" >/dev/null || die "$tool is missing; run: sudo apt install qemu-user-static" \
      "gcc-aarch64-linux-gnu libc6-dev-arm64-cross python3-venv, on Debian or Ubuntu"
  done
  [[ -r $keyring ]] || die "$keyring is missing; run: sudo apt install debian-archive-keyring"
  [[ $(uname -m) != aarch64 ]] || die "this machine is aarch64 already; run make test-main on it"
}

# Whether $1 was made from exactly $2 before; a step whose recipe changed is done again.
made() { [[ -f $1.made && $(<"$1.made") == "$2" ]]; }

unpack_debian() {
  local recipe="$DEBIAN_MIRROR bookworm python3 libstdc++6 libportaudio2" deb
  made "$root" "$recipe" && return
  say "Debian 12's arm64 CPython, unpacked into build/aarch64/root"
  local apt=$work/apt
  rm -rf "$root" "$apt"
  mkdir -p "$root" "$apt"/{state/lists/partial,cache/archives/partial}
  : >"$apt/status"
  echo "deb [signed-by=$keyring] $DEBIAN_MIRROR bookworm main" >"$apt/sources.list"
  cat >"$apt/apt.conf" <<CONF
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "$apt/none";
CONF
  APT_CONFIG=$apt/apt.conf apt-get -qq update
  APT_CONFIG=$apt/apt.conf apt-get -qq install --download-only python3 libstdc++6 libportaudio2
  for deb in "$apt"/cache/archives/*.deb; do
    dpkg-deb --extract "$deb" "$root"
  done
  rm -rf "$apt"
  echo "$recipe" >"$root.made"
}

# The same versions on both sides: what differs is the architecture alone.
install_packages() {
  local recipe pip=("$work/host/bin/python" -m pip --quiet --disable-pip-version-check)
  recipe="$("$PYTHON" -V) onnxruntime $ONNXRUNTIME $(sha256sum pyproject.toml)"
  made "$work/wheels" "$recipe" && return
  say "edge-ser for this machine, with ONNX Runtime $ONNXRUNTIME"
  rm -rf "$work/host" "$work/wheels"
  "$PYTHON" -m venv "$work/host"
  "${pip[@]}" install --editable . "onnxruntime==$ONNXRUNTIME"
  "${pip[@]}" freeze --exclude-editable >"$work/requirements.txt"
  "${pip[@]}" install --editable '.[build]' --constraint "$work/requirements.txt"
  say "the same versions as aarch64 wheels"
  local platforms=() glibc
  for glibc in 28 27 26 24 17; do platforms+=(--platform "manylinux_2_${glibc}_aarch64"); done
  "${pip[@]}" install --target "$work/wheels" --no-deps --only-binary :all: --implementation cp \
    --python-version 3.11 "${platforms[@]}" --platform manylinux2014_aarch64 \
    --requirement "$work/requirements.txt"
  echo "$recipe" >"$work/wheels.made"
}

# -S: no site-packages of this machine may be seen.
emulated() {
  PYTHONPATH=$work/wheels:$repo qemu-aarch64-static -L "$root" "$root/usr/bin/python3.11" -S "$@"
}

quantize() {
  "$work/host/bin/edge-ser" quantize --calibration calibration/default --out "$work/$1.onnx" "--$1"
}

mkdir -p "$work"
check_tools
unpack_debian
install_packages

say "the front end's kernel for aarch64"
CC=aarch64-linux-gnu-gcc sh edge_ser/frontend/compile.sh aarch64

say "the bundled model as INT8 and FP16, made on this machine"
quantize int8
quantize fp16

# A measure of an earlier run must not stand in for one that was not made.
rm -f "$work/here.json" "$work/there.json"
models=(fp32=edge_ser/assets/edge_ser.onnx "int8=$work/int8.onnx" "fp16=$work/fp16.onnx")
say "measure on $(uname -m)"
"$work/host/bin/python" benchmarks/aarch64.py measure --out "$work/here.json" "${models[@]}"
say "measure on emulated aarch64 ($QEMU_CPU)"
EMULATOR=$(qemu-aarch64-static --version | head -1) \
  emulated benchmarks/aarch64.py measure --out "$work/there.json" "${models[@]}"

say "the command line on emulated aarch64"
emulated -m edge_ser run --wav examples

say "compare"
mkdir -p "$(dirname "$OUT")"
"$work/host/bin/python" benchmarks/aarch64.py compare "$work/here.json" "$work/there.json" --out "$OUT"
