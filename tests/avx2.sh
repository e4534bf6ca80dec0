#!/bin/sh
# The operators' tests where oneDNN has no products for the processor and our own are taken: one with AVX-512 would not take them by
# itself.
set -eu
ONEDNN_MAX_CPU_ISA=AVX2
export ONEDNN_MAX_CPU_ISA
tests/check_ops
tests/check_ops_layer
tests/check_threads
tests/check_product
