# kernels.c once for each instruction set and each storage of activations, and the choice among them.
noinst_LTLIBRARIES += libkernels_scalar_f32.la libkernels_scalar_bf16.la
libkernels_scalar_f32_la_SOURCES = simd/kernels.c simd/dispatch.c
libkernels_scalar_f32_la_CPPFLAGS = $(AM_CPPFLAGS) -DSRU_BF16=0
libkernels_scalar_f32_la_CFLAGS = $(AM_CFLAGS) $(SIMD_CFLAGS)
libkernels_scalar_bf16_la_SOURCES = simd/kernels.c
libkernels_scalar_bf16_la_CPPFLAGS = $(AM_CPPFLAGS) -DSRU_BF16=1
libkernels_scalar_bf16_la_CFLAGS = $(AM_CFLAGS) $(SIMD_CFLAGS)
KERNEL_LIBS = libkernels_scalar_f32.la libkernels_scalar_bf16.la

if X86_KERNELS
noinst_LTLIBRARIES += libkernels_avx2_f32.la libkernels_avx2_bf16.la libkernels_avx512_f32.la libkernels_avx512_bf16.la
libkernels_avx2_f32_la_SOURCES = simd/kernels.c
libkernels_avx2_f32_la_CPPFLAGS = $(AM_CPPFLAGS) -DSRU_AVX2=1 -DSRU_BF16=0
libkernels_avx2_f32_la_CFLAGS = $(AM_CFLAGS) $(SIMD_CFLAGS) -march=x86-64-v3
libkernels_avx2_bf16_la_SOURCES = simd/kernels.c
libkernels_avx2_bf16_la_CPPFLAGS = $(AM_CPPFLAGS) -DSRU_AVX2=1 -DSRU_BF16=1
libkernels_avx2_bf16_la_CFLAGS = $(AM_CFLAGS) $(SIMD_CFLAGS) -march=x86-64-v3
libkernels_avx512_f32_la_SOURCES = simd/kernels.c
libkernels_avx512_f32_la_CPPFLAGS = $(AM_CPPFLAGS) -DSRU_AVX512=1 -DSRU_BF16=0
libkernels_avx512_f32_la_CFLAGS = $(AM_CFLAGS) $(SIMD_CFLAGS) -march=x86-64-v4 $(WIDE_CFLAGS)
libkernels_avx512_bf16_la_SOURCES = simd/kernels.c
libkernels_avx512_bf16_la_CPPFLAGS = $(AM_CPPFLAGS) -DSRU_AVX512=1 -DSRU_BF16=1
libkernels_avx512_bf16_la_CFLAGS = $(AM_CFLAGS) $(SIMD_CFLAGS) -march=x86-64-v4 $(WIDE_CFLAGS)
KERNEL_LIBS += libkernels_avx2_f32.la libkernels_avx2_bf16.la libkernels_avx512_f32.la libkernels_avx512_bf16.la
endif
