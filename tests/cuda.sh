#!/bin/sh
# The program with its GPU operators, where nvcc is installed: it must compile without warnings, link, run without a GPU, and say so
# when one is asked for.  What the operators compute is tested by make check-gpu, on a machine that has a GPU.
set -eu
src=${srcdir:-$(dirname "$0")/..}
PATH=$PATH:/usr/local/cuda/bin

command -v nvcc >/dev/null || { echo "SKIP: the GPU's operators: nvcc is not installed"; exit 77; }
case $src in /*) ;; *) src=$PWD/$src ;; esac

rm -rf cuda
mkdir cuda
cd cuda
"$src/configure" -q --with-cuda --with-cuda-arch="${CUDA_ARCH:-90}" --without-onednn --enable-werror --disable-shared >configure.log 2>&1 ||
    { cat configure.log; exit 1; }
make -s sru-lm >make.log 2>&1 || { cat make.log; exit 1; }

CUDA_VISIBLE_DEVICES='' ./sru-lm train --data "$src/README.md" --hidden 16 --projection 8 --layers 1 --batch 2 --unroll 16 --steps 2 --out run >train.log 2>&1 ||
    { cat train.log; exit 1; }
code=0
CUDA_VISIBLE_DEVICES='' ./sru-lm eval run/best.safetensors --data "$src/README.md" --device cuda >eval.log 2>&1 || code=$?
if [ $code != 1 ] || ! grep -q 'no NVIDIA GPU' eval.log; then
    cat eval.log
    echo "eval --device cuda without a GPU: exit code $code"
    exit 1
fi
echo "100%: Checks: 3, Failures: 0, Errors: 0"
