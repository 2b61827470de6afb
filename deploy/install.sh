#!/usr/bin/env bash
# Install edge-ser as a systemd service, bring it up to date, or remove it. Running it again changes nothing
# that is already so.
set -euo pipefail
umask 022

usage() {
  cat <<'USAGE'
usage: sudo deploy/install.sh [options]

  --from WHAT       a clone, a wheel, or edge-ser==X from the package index   [this clone]
  --prefix DIR      where the virtual environment and models go               [/opt/edge-ser]
  --python PYTHON   the Python to use; JetPack's tensorrt lives in the system's  [/usr/bin/python3]
  --user NAME       an existing user to run as                                [edge-ser, which is made]
  --model FILE      an ONNX file, or an engine with its .json beside it       [the bundled model]
  --options TEXT    more options of `edge-ser run --mic`, e.g. "--device USB --channel 0"
  --gpu | --cpu     with TensorRT's packages and the GPU's devices, or not    [as the machine has one]
  --no-start        enable the service, and do not check nor start it
  --root DIR        install into this tree (an image), no root or systemd needed
  --dry-run         print what would be done, do nothing
  --uninstall       remove what was installed; an edited settings file and recordings stay
USAGE
}

die() { echo "install.sh: $*" >&2; exit 2; }

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
from=$(dirname "$here") prefix=/opt/edge-ser python=/usr/bin/python3 user=edge-ser
model='' options='' gpu=auto start=yes root='' dry='' action=install

while (($#)); do
  case $1 in
    --from | --prefix | --python | --user | --model | --options | --root)
      (($# > 1)) || die "$1 came without a value"
      declare "${1#--}=$2"
      shift 2
      ;;
    --gpu) gpu=yes; shift ;;
    --cpu) gpu=no; shift ;;
    --no-start) start=no; shift ;;
    --dry-run) dry=yes; shift ;;
    --uninstall) action=uninstall; shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; die "$1 is no option" ;;
  esac
done

# These go into unit files and are removed again: nothing that needs quoting, and never the whole system.
[[ $prefix =~ ^(/[A-Za-z0-9._-]+){2,}$ && $prefix != *..* ]] ||
  die "--prefix is '$prefix'; wanted an absolute path such as /opt/edge-ser"
[[ $user =~ ^[a-z_][a-z0-9_-]*$ ]] || die "--user is '$user', which is no name of a user"
[[ $options != *$'\n'* ]] || die "--options has a line break; wanted one line"
[[ -z $model || -f $model ]] || die "--model $model is not there"
[[ $model != *[\'\"\\]* && $model != *$'\n'* ]] || die "--model $model: rename it, quotes cannot stand in settings"
if [[ -n $root ]]; then
  [[ -d $root ]] || die "--root $root is not a directory"
  root=$(cd "$root" && pwd)
elif [[ $EUID != 0 && -z $dry ]]; then
  die "this needs root: run it with sudo, or see --dry-run and --root"
fi
if [[ $gpu == auto ]]; then
  gpu=no
  [[ -n $root ]] || ! compgen -G '/dev/nv[ghi]*' >/dev/null || gpu=yes
fi

venv=$prefix/venv
marker=$prefix/.installed-by-edge-ser
unit=/etc/systemd/system/edge-ser.service
settings=/etc/edge-ser/edge-ser.env

# Every change goes through `run` or `write`, so --dry-run shows them all.
run() {
  printf '+'; printf ' %q' "$@"; printf '\n'
  [[ -n $dry ]] || "$@"
}

live() { # what only a running system has
  [[ -n $root ]] || run "$@"
}

write() { # write FILE: from standard input, if it differs
  local content
  content=$(cat; echo .)
  content=${content%.}
  if [[ -f $root$1 ]] && cmp -s "$root$1" <(printf %s "$content"); then return; fi
  echo "+ write $root$1"
  if [[ -z $dry ]]; then
    mkdir -p "$(dirname "$root$1")"
    printf %s "$content" >"$root$1"
  fi
}

drop() { # remove files that are there
  local file
  for file in "$@"; do
    [[ ! -e $root$file ]] || run rm -rf -- "$root$file"
  done
}

drop_empty() { # remove directories in which nothing is left
  local directory
  for directory in "$@"; do
    [[ ! -d $root$directory ]] || run rmdir --ignore-fail-on-non-empty -- "$root$directory"
  done
}

install_packages() {
  local missing=()
  [[ $(/sbin/ldconfig -p) == *libportaudio.so.2* ]] || missing+=(libportaudio2)
  "$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
  if ((${#missing[@]})); then
    live apt-get update
    live apt-get install --yes --no-install-recommends "${missing[@]}"
  fi
}

install_python() {
  local what=$from extra=''
  [[ $gpu == no ]] || extra='[tensorrt]'
  if ! "$root$venv/bin/python" -c 'import pip' 2>/dev/null; then
    # System packages, because JetPack's tensorrt is one and is on no index.
    run "$python" -m venv --clear --system-site-packages "$root$venv"
  fi
  if [[ -d $from ]]; then
    run "$root$venv/bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$work" "$(realpath -- "$from")"
    what=$(compgen -G "$work/edge_ser-*.whl" || echo "$work/edge_ser.whl")
  fi
  if [[ -f $what || $what == *.whl ]]; then
    local address
    address=$("$python" -c 'import pathlib, sys; print(pathlib.Path(sys.argv[1]).resolve().as_uri())' "$what")
    run "$root$venv/bin/python" -m pip install --quiet "edge-ser$extra @ $address"
    # The same version may hold other code.
    run "$root$venv/bin/python" -m pip install --quiet --no-deps --force-reinstall "$what"
  else
    run "$root$venv/bin/python" -m pip install --quiet --upgrade "${what/edge-ser/edge-ser$extra}"
  fi
  [[ -z $root || -n $dry ]] || relocate
}

relocate() { # scripts name their Python by its path, which has no $root when the image runs
  local file
  grep -rlIF "$root$venv" "$root$venv/bin" "$root$venv/pyvenv.cfg" | while read -r file; do
    sed -i "s|$root$venv|$venv|g" "$file"
  done
}

install_model() {
  [[ -n $model ]] || return 0
  local name file
  name=$(basename "$model")
  for file in "$model" "$model.json"; do
    [[ -f $file ]] || continue
    cmp -s "$file" "$root$prefix/models/${file##*/}" ||
      run install -D -m 644 -- "$file" "$root$prefix/models/${file##*/}"
    installed_models+=("${file##*/}")
  done
  options="--model '$prefix/models/$name'${options:+ $options}"
}

install_settings() {
  local template="# Options of \`edge-ser run --mic --format jsonl\`, see \`edge-ser run --help\`. Afterwards:
# systemctl restart edge-ser
EDGE_SER_RUN_OPTIONS=$options
"
  if [[ -e $root$settings ]] && ! cmp -s "$root$settings" "$root$prefix/edge-ser.env"; then
    echo "kept $root$settings, which was edited; these would be the options: $options"
    return
  fi
  # The copy tells later whether somebody has edited it.
  printf %s "$template" | write "$prefix/edge-ser.env"
  printf %s "$template" | write "$settings"
}

install_service() {
  sed -e "s|/opt/edge-ser|$prefix|g" -e "s|^User=.*|User=$user|" -e "s|^Group=.*|Group=$group|" \
    "$here/edge-ser.service" | write "$unit"
  write "/etc/systemd/journald@edge-ser.conf" <"$here/journald@edge-ser.conf"
  if [[ $gpu == yes ]]; then
    write "$unit.d/gpu.conf" <"$here/gpu.conf"
  else
    drop "$unit.d/gpu.conf"
    drop_empty "$unit.d"
  fi
  if [[ $user == edge-ser ]]; then
    write /etc/sysusers.d/edge-ser.conf <"$here/sysusers.conf"
    live systemd-sysusers /etc/sysusers.d/edge-ser.conf
  fi
  live systemctl daemon-reload
  if [[ -n $root ]]; then
    run systemctl --root="$root" --quiet enable edge-ser.service
  else
    run systemctl enable edge-ser.service
  fi
}

install_all() {
  installed_models=()
  group=$user
  if [[ $user != edge-ser && -z $root ]]; then
    group=$(id -gn -- "$user") || die "--user $user is not there; make it first"
  fi
  install_packages
  install_python
  install_model
  write "$prefix/README.md" <"$here/README.md"
  install_settings
  install_service
  local before=''
  [[ ! -f $root$marker ]] || before=$(<"$root$marker")
  printf '%s\n' "$before" "${installed_models[@]}" | grep . | sort -u >"$work/marker" || true
  write "$marker" <"$work/marker"
  [[ $start == yes && -z $root ]] || return 0
  if ! run runuser -u "$user" -G audio -- "$venv/bin/edge-ser" doctor --for mic; then
    echo "Installed, not started: mend what doctor says above, then: systemctl start edge-ser" >&2
    exit 1
  fi
  run systemctl restart edge-ser.service
  echo "Events: journalctl --namespace=edge-ser --unit=edge-ser --output=cat --follow"
}

uninstall_all() {
  if [[ ! -e $root$marker ]]; then
    echo "nothing of edge-ser was installed in $root$prefix by this script"
    return
  fi
  local name
  if [[ -n $root ]]; then
    run systemctl --root="$root" --quiet disable edge-ser.service
  else
    run systemctl disable --now edge-ser.service
  fi
  if cmp -s "$root$settings" "$root$prefix/edge-ser.env"; then
    drop "$settings"
  elif [[ -e $root$settings ]]; then
    echo "kept $root$settings, which was edited"
  fi
  drop "$unit" "$unit.d/gpu.conf" /etc/systemd/journald@edge-ser.conf /etc/sysusers.d/edge-ser.conf
  drop_empty "$unit.d" /etc/edge-ser
  live systemctl daemon-reload
  while read -r name; do
    [[ -z $name ]] || drop "$prefix/models/$name"
  done <"$root$marker"
  drop "$venv" "$prefix/README.md" "$prefix/edge-ser.env" "$marker"
  drop_empty "$prefix/models" "$prefix"
  echo "kept: the user $user, its recordings in /var/lib/edge-ser, and packages of the system"
}

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
"${action}_all"
