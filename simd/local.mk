# kernels.c once for each instruction set and each storage of activations, and the choice among them.
noinst_LTLIBRARIES += libkernels.la libkernels_scalar_f32.la libkernels_scalar_bf16.la
libkernels_la_SOURCES = simd/dispatch.c simd/kernels.h
libkernels_la_LIBADD = libkernels_scalar_f32.la libkernels_scalar_bf16.la
KERNEL_LIBS = libkernels.la
kernel_sources = simd/kernels.c simd/kernels.h simd/philox.h simd/vec.h simd/vec-scalar.h simd/vec-avx2.h simd/vec-avx512.h \
  simd/vec-neon.h simd/decode.h simd/exp.h simd/elementwise.h simd/layout.h simd/norm.h simd/optimizer.h simd/muon.h simd/product.h simd/scan.h simd/softmax.h

libkernels_scalar_f32_la_SOURCES = $(kernel_sources)
libkernels_scalar_f32_la_CPPFLAGS = $(AM_CPPFLAGS) -DSRU_BF16=0
libkernels_scalar_f32_la_CFLAGS = $(AM_CFLAGS) $(SIMD_CFLAGS)
libkernels_scalar_bf16_la_SOURCES = $(kernel_sources)
libkernels_scalar_bf16_la_CPPFLAGS = $(AM_CPPFLAGS) -DSRU_BF16=1
libkernels_scalar_bf16_la_CFLAGS = $(AM_CFLAGS) $(SIMD_CFLAGS)

if X86_KERNELS
noinst_LTLIBRARIES += libkernels_avx2_f32.la libkernels_avx2_bf16.la libkernels_avx512_f32.la libkernels_avx512_bf16.la
libkernels_la_LIBADD += libkernels_avx2_f32.la libkernels_avx2_bf16.la libkernels_avx512_f32.la libkernels_avx512_bf16.la

libkernels_avx2_f32_la_SOURCES = $(kernel_sources)
libkernels_avx2_f32_la_CPPFLAGS = $(AM_CPPFLAGS) -DSRU_AVX2 -DSRU_BF16=0
libkernels_avx2_f32_la_CFLAGS = $(AM_CFLAGS) $(SIMD_CFLAGS) $(AVX2_CFLAGS)
libkernels_avx2_bf16_la_SOURCES = $(kernel_sources)
libkernels_avx2_bf16_la_CPPFLAGS = $(AM_CPPFLAGS) -DSRU_AVX2 -DSRU_BF16=1
libkernels_avx2_bf16_la_CFLAGS = $(AM_CFLAGS) $(SIMD_CFLAGS) $(AVX2_CFLAGS)

libkernels_avx512_f32_la_SOURCES = $(kernel_sources)
libkernels_avx512_f32_la_CPPFLAGS = $(AM_CPPFLAGS) -DSRU_AVX512 -DSRU_BF16=0
libkernels_avx512_f32_la_CFLAGS = $(AM_CFLAGS) $(SIMD_CFLAGS) $(AVX512_CFLAGS)
libkernels_avx512_bf16_la_SOURCES = $(kernel_sources)
libkernels_avx512_bf16_la_CPPFLAGS = $(AM_CPPFLAGS) -DSRU_AVX512 -DSRU_BF16=1
libkernels_avx512_bf16_la_CFLAGS = $(AM_CFLAGS) $(SIMD_CFLAGS) $(AVX512_CFLAGS)
endif

if AVX512BF16_KERNELS
noinst_LTLIBRARIES += libkernels_avx512_native_bf16.la
libkernels_la_LIBADD += libkernels_avx512_native_bf16.la

libkernels_avx512_native_bf16_la_SOURCES = $(kernel_sources)
libkernels_avx512_native_bf16_la_CPPFLAGS = $(AM_CPPFLAGS) -DSRU_AVX512 -DSRU_AVX512BF16 -DSRU_BF16=1
libkernels_avx512_native_bf16_la_CFLAGS = $(AM_CFLAGS) $(SIMD_CFLAGS) $(AVX512_CFLAGS) -mavx512bf16
endif

if NEON_KERNELS
noinst_LTLIBRARIES += libkernels_neon_f32.la libkernels_neon_bf16.la
libkernels_la_LIBADD += libkernels_neon_f32.la libkernels_neon_bf16.la

libkernels_neon_f32_la_SOURCES = $(kernel_sources)
libkernels_neon_f32_la_CPPFLAGS = $(AM_CPPFLAGS) -DSRU_NEON -DSRU_BF16=0
libkernels_neon_f32_la_CFLAGS = $(AM_CFLAGS) $(SIMD_CFLAGS)
libkernels_neon_bf16_la_SOURCES = $(kernel_sources)
libkernels_neon_bf16_la_CPPFLAGS = $(AM_CPPFLAGS) -DSRU_NEON -DSRU_BF16=1
libkernels_neon_bf16_la_CFLAGS = $(AM_CFLAGS) $(SIMD_CFLAGS)
endif
