/*
 * One table of kernels.h.  Compiled for each instruction set (SRU_AVX512, SRU_AVX2, SRU_NEON, or none: scalar) and each storage
 * of activations (SRU_BF16; with SRU_AVX512BF16 by the processor's own conversions), with the compiler's flags to match.
 */
#include "config.h"

#include "simd/kernels.h"

#include "simd/vec.h"

#include "simd/elementwise.h"
#include "simd/layout.h"
#include "simd/norm.h"
#include "simd/optimizer.h"
#include "simd/muon.h"
#include "simd/product.h"
#include "simd/scan.h"
#include "simd/softmax.h"
#include "simd/decode.h"   /* softmax.h's exponentials */

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define TABLE_OF(set, storage) sru_kernels_##set##_##storage
#define TABLE(set, storage) TABLE_OF(set, storage)

#if SRU_BF16 && defined SRU_AVX512BF16
# define STORAGE native_bf16
#elif SRU_BF16
# define STORAGE bf16
#else
# define STORAGE f32
#endif

extern const struct sru_kernels TABLE(SRU_SET, STORAGE);   /* dispatch.c's */

const struct sru_kernels TABLE(SRU_SET, STORAGE) = {
    .name = TEXT(SRU_SET),
    .act_bytes = sizeof(act),
    .widen = widen,
    .narrow = narrow,
    .mask_row = mask_row,
    .mask = mask,
    .mask_add = mask_add,
    .embed = embed,
    .embed_back = embed_back,
    .add = add,
    .add_rows = add_rows,
    .softmax = softmax,
    .softmax_back = softmax_back,
    .nll = nll,
    .norm = norm,
    .norm_back = norm_back,
    .scan = scan,
    .scan_back = scan_back,
    .transpose = transpose,
    .pack = pack,
    .tile_rows = TILE_ROWS,
    .tile_cols = TILE_COLS,
    .tile = tile,
    .take_columns = take_columns,
    .panels = { panels_f32, panels_bf16, panels_int8 },
    .keys = keys,
    .probabilities = probabilities,
    .values = values,
    .update = update,
    .sumsq = sumsq,
    .momentum = momentum,
    .direction = direction,
    .polynomial = polynomial,
    .descend = descend,
};
