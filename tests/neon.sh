#!/bin/sh
# The kernels of aarch64 and their own tests, for a processor that this one is not: cross-compiled, and run under qemu.
# With a number also e^x and the logistic function of every so many-th float (tests/exp_all.c).
set -eu
cc=${NEON_CC:-aarch64-linux-gnu-gcc} run=${NEON_RUN:-qemu-aarch64}
src=${srcdir:-$(dirname "$0")/..}

for tool in "$cc" "$run"; do
    command -v "$tool" >/dev/null || { echo "SKIP: NEON kernels: $tool is not installed"; exit 77; }
done

rm -rf neon
mkdir neon
echo '#define SRU_HAVE_NEON_KERNELS 1' >neon/config.h   # another machine's: this build's own says what is installed here

compile() {   # OUTPUT ARG...
    out=$1; shift
    # shellcheck disable=SC2086
    "$cc" -std=gnu17 -O2 ${WARN_CFLAGS-} -Ineon -I"$src" -DSRU_BUILD -o "neon/$out" "$@"
}

for bf16 in 0 1; do
    for set in SCALAR NEON; do
        # shellcheck disable=SC2086
        compile $set$bf16.o ${SIMD_CFLAGS-} -DSRU_$set -DSRU_BF16=$bf16 -c "$src/simd/kernels.c"
    done
done
link() {   # PROGRAM SOURCE...
    out=$1; shift
    compile "$out" -static -DSRU_NO_CHECK "$@" "$src/simd/dispatch.c" "$src/src/error.c" neon/*.o -lm
}

link check_kernels "$src"/tests/check_kernels.c "$src"/tests/kernels_*.c
"$run" neon/check_kernels
if [ $# -gt 0 ]; then
    link exp_all -Wno-unknown-pragmas "$src/tests/exp_all.c"
    "$run" neon/exp_all "$1"
fi
