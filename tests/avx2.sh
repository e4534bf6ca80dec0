#!/bin/sh
# The operators' tests on the products that oneDNN has for AVX2, which ask for other layouts: a processor with AVX-512 would not
# take them by itself.
set -eu
ONEDNN_MAX_CPU_ISA=AVX2
export ONEDNN_MAX_CPU_ISA
tests/check_ops
tests/check_ops_layer
