#!/bin/sh
# Compiles the front end's kernel beside its source. The installation does this where there is a C
# compiler; where one came later, run it by hand.
#
#   compile.sh [MACHINE]      what `uname -m` says on the machine that it is for; default: this one
#   CC=clang                  default cc
set -eu
cd "$(dirname "$0")"
library=kernel-${1:-$(uname -m)}.so
source=$(cat kernel.c lanes.h | sha256sum | cut -d ' ' -f 1)
# No contraction to fused multiply-add: all processors shall give the same bits.
"${CC:-cc}" -std=c11 -O3 -ffp-contract=off -fPIC -shared -s -Wall -Wextra -DSOURCE="\"$source\"" \
  -o "$library.$$" kernel.c
mv "$library.$$" "$library"
