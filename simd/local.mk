# kernels.c once for each instruction set, and the choice among them.
noinst_LTLIBRARIES += libkernels_baseline.la
libkernels_baseline_la_SOURCES = simd/kernels.c simd/dispatch.c simd/kernels.h simd/philox.h
libkernels_baseline_la_CPPFLAGS = $(AM_CPPFLAGS) -DSRU_KERNELS=baseline
libkernels_baseline_la_CFLAGS = $(AM_CFLAGS) $(SIMD_CFLAGS)
KERNEL_LIBS = libkernels_baseline.la

if X86_KERNELS
noinst_LTLIBRARIES += libkernels_avx2.la libkernels_avx512.la
libkernels_avx2_la_SOURCES = simd/kernels.c
libkernels_avx2_la_CPPFLAGS = $(AM_CPPFLAGS) -DSRU_KERNELS=avx2
libkernels_avx2_la_CFLAGS = $(AM_CFLAGS) $(SIMD_CFLAGS) -march=x86-64-v3
libkernels_avx512_la_SOURCES = simd/kernels.c
libkernels_avx512_la_CPPFLAGS = $(AM_CPPFLAGS) -DSRU_KERNELS=avx512
libkernels_avx512_la_CFLAGS = $(AM_CFLAGS) $(SIMD_CFLAGS) -march=x86-64-v4 $(WIDE_CFLAGS)
KERNEL_LIBS += libkernels_avx2.la libkernels_avx512.la
endif
