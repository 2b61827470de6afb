#!/bin/sh
# Time whole processes: `edge-ser --help` (wanted: under 0.3 s) and one clip (under 1.5 s); best of 5.
# usage: benchmarks/start_up.sh [edge-ser]
set -eu
cd "$(dirname "$0")/.."
exec "${PYTHON:-python3}" - "${1:-.venv-demo/bin/edge-ser}" <<'PY'
import subprocess, sys, time

program = sys.argv[1]
late = False
for arguments, limit_s in ((["--help"], 0.3), (["run", "--wav", "examples/1036_ITH_NEU_XX.wav"], 1.5)):
    times = []
    for _ in range(5):
        start = time.monotonic()
        subprocess.run([program, *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append(time.monotonic() - start)
    print(f"{' '.join(arguments)}: best {min(times):.2f} s, worst {max(times):.2f} s of 5; wanted {limit_s} s")
    late |= min(times) > limit_s
sys.exit(late)
PY
