/*
 * The GPU's device, and what its operators share.  Operators queue work on one stream and return; errors wait in the device until
 * `sync`.  Kernels are templates on the type of activations, A: float or __nv_bfloat16.
 */
#ifndef SRU_GPU_DEVICE_CUH
#define SRU_GPU_DEVICE_CUH

#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <stdint.h>

extern "C" {
#include "gpu/cuda.h"
#include "src/ops.h"
#include "src/size.h"
}

struct sru_cuda {
    struct sru_dev dev;
    int  index;
    bool bf16;                  /* activations and operands */
    cudaStream_t stream;
    cudaError_t  error;         /* the first since the last sync */
    const char  *failed;        /* what did */
    cublasLtHandle_t lt;
    struct sru_cuda_products *products;
    float *work;                /* the operators' workspace, one operator at a time */
    size_t work_bytes;
    double *sums;               /* SRU_CUDA_SUMS, on the device */
    struct sru_cuda_queue *queue;
};

enum { SRU_CUDA_SUMS = 1024 };

static inline struct sru_cuda *sru_cuda_of(struct sru_dev *dev)
{
    return (struct sru_cuda *)dev;
}

/* What `put` and `send` move passes through pinned memory, and steps are recorded: gpu/queue.cu. */
sru_status sru_cuda_queue_open(struct sru_cuda *, struct sru_error *);
void sru_cuda_queue_close(struct sru_cuda *);
void sru_cuda_put(struct sru_dev *, void *dst, const void *host, size_t bytes);
void sru_cuda_send(struct sru_dev *, int box, const struct sru_gauge *);
sru_status sru_cuda_receive(struct sru_dev *, int box, struct sru_gauge *host, struct sru_error *);
void sru_cuda_record(struct sru_dev *);
void sru_cuda_recorded(struct sru_dev *, void **record);
bool sru_cuda_replay(struct sru_dev *, void *record);
void sru_cuda_forget(struct sru_dev *, void *record);

/* What has failed so far. */
sru_status sru_cuda_status(struct sru_cuda *, struct sru_error *);
/* Remember a failure of the runtime for `sync`. */
void sru_cuda_check(struct sru_cuda *, cudaError_t, const char *what);
/* After a launch. */
static inline void sru_cuda_launched(struct sru_cuda *cuda, const char *what)
{
    sru_cuda_check(cuda, cudaGetLastError(), what);
}

/* Call f<A>(arguments) with the device's type of activations. */
#define SRU_BY_TYPE(cuda, f, ...) ((cuda)->bf16 ? f<__nv_bfloat16>(__VA_ARGS__) : f<float>(__VA_ARGS__))

/* ---- Activations in kernels ------------------------------------------------------------------- */

__device__ inline float sru_load(const float *p) { return *p; }
__device__ inline float sru_load(const __nv_bfloat16 *p) { return __bfloat162float(*p); }
__device__ inline void sru_store(float *p, float x) { *p = x; }
__device__ inline void sru_store(__nv_bfloat16 *p, float x) { *p = __float2bfloat16_rn(x); }

/* 0 for what would soon be denormal, as the CPU has it. */
__device__ inline float sru_flushed(float x) { return fabsf(x) < 1e-37f ? 0.0f : x; }

/* struct sru_rows, typed. */
template <typename A> struct rows_of {
    A *p;
    size_t stride;

    rows_of(struct sru_rows r) : p((A *)r.p), stride(r.stride) {}
    /* Row n of all streams' rows, T of them each. */
    __device__ A *row(size_t n, size_t T, size_t cols) const { return p ? p + n / T * stride + n % T * cols : nullptr; }
};

/* ---- Masks: the CPU's, element by element (simd/philox.h) ---------------------------------------- */

/* A mask ready for kernels: pass it by value. */
struct sru_cuda_mask {
    const float *given;
    bool     on;
    float    keep;
    uint32_t limit, site;
    uint64_t seed;
    const struct sru_step *step;
};

struct sru_cuda_mask sru_cuda_mask_of(const struct sru_mask *);

__device__ inline void sru_cuda_philox(uint32_t c[4], uint64_t key)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);

#pragma unroll
    for (int round = 0; round < 10; round++) {
        const uint32_t a = 0xD2511F53u * c[0], b = 0xCD9E8D57u * c[2];
        const uint32_t high_a = __umulhi(0xD2511F53u, c[0]), high_b = __umulhi(0xCD9E8D57u, c[2]);

        c[0] = high_b ^ c[1] ^ k0;
        c[2] = high_a ^ c[3] ^ k1;
        c[1] = b;
        c[3] = a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

/* The factor of element (row, j) of a mask with `cols` columns. */
__device__ inline float sru_cuda_factor(const struct sru_cuda_mask &m, size_t row, size_t j, size_t cols)
{
    if (!m.on)
        return 1.0f;
    if (m.given)
        return m.given[row * cols + j];
    const size_t blocks = (cols + 7) / 8, half = 4 * blocks, i = j < half ? j : j - half;
    const uint64_t block = (uint64_t)row * blocks + i / 4;
    uint32_t c[4] = { (uint32_t)block, (uint32_t)(block >> 32), m.step->count, m.site };

    sru_cuda_philox(c, m.seed);
    const uint32_t word = i % 4 == 0 ? c[0] : i % 4 == 1 ? c[1] : i % 4 == 2 ? c[2] : c[3];
    return (j < half ? word << 16 : word) < m.limit ? 0.0f : m.keep;
}

/* ---- Reductions ------------------------------------------------------------------------------------ */

/* The sum over a warp, in every thread; the same order every time. */
template <typename X> __device__ inline X sru_warp_sum(X x)
{
    for (int i = 16; i > 0; i /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, i);
    return x;
}

/* The larger; NaN where either is. */
__device__ inline float sru_larger(float x, float y)
{
    return y > x || y != y ? y : x;
}

/* The largest over a warp, in every thread; NaN where any is. */
__device__ inline float sru_warp_max(float x)
{
    for (int i = 16; i > 0; i /= 2)
        x = sru_larger(x, __shfl_xor_sync(0xffffffffu, x, i));
    return x;
}

/* The sum over a block, in every thread; the same order every time.  blockDim.x is a multiple of 32, at most 1024. */
template <typename X> __device__ inline X sru_block_sum(X x)   /* float or double */
{
    __shared__ X part[32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;

    x = sru_warp_sum(x);
    __syncthreads();   /* part may still be read from the last time */
    if (lane == 0)
        part[warp] = x;
    __syncthreads();
    return sru_warp_sum(lane < warps ? part[lane] : X(0));
}

/* The largest over a block; NaN where any is. */
__device__ inline float sru_block_max(float x)
{
    __shared__ float part[32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;

    x = sru_warp_max(x);
    __syncthreads();
    if (lane == 0)
        part[warp] = x;
    __syncthreads();
    return sru_warp_max(lane < warps ? part[lane] : part[0]);
}

/*
 * out[j] (=) or, with add, (+=) the sum over i of x[i*stride + j], j below cols, in a fixed order; x is A or float.  `work`:
 * sru_cuda_columns_work(rows, cols) floats.
 */
size_t sru_cuda_columns_work(size_t rows, size_t cols);
template <typename X> void sru_cuda_columns(struct sru_cuda *, size_t rows, size_t cols, size_t stride, const X *x, bool add,
                                            float *work, float *out);

/* ---- Products -------------------------------------------------------------------------------------- */

/*
 * c[m,n] = a[m,k] b[k,n] (+ c with `add`), row-major, `batch` times (0 is once) with strides between.  ta, tb: a stands as [k,m], b as
 * [n,k].  Row lengths lda, ldb, ldc of 0 are dense.  Operands are activations; c too, or with c_f32 f32.
 */
struct sru_cuda_product {
    size_t m, n, k, lda, ldb, ldc, batch, a_stride, b_stride, c_stride;
    bool   ta, tb, add, c_f32;
};

void sru_cuda_multiply(struct sru_cuda *, const struct sru_cuda_product *, const void *a, const void *b, void *c);
sru_status sru_cuda_products_open(struct sru_cuda *, struct sru_error *);
void sru_cuda_products_close(struct sru_cuda *);

/*
 * A weight's operand: where the activations are bf16, its values in bf16, and after them zeros up to SRU_CUDA_PAD outputs, since products
 * with odd sizes are slow; else nothing but its sizes.
 */
enum { SRU_CUDA_PAD = 32 };
struct sru_cuda_operand {
    size_t in, out;
    bool   in_first;
    void  *copy;
};

void *sru_cuda_operand_open(struct sru_dev *, size_t in, size_t out, bool in_first, enum sru_use);
size_t sru_cuda_operand_bytes(struct sru_dev *, size_t in, size_t out, enum sru_use);
void sru_cuda_operand_close(struct sru_dev *, void *);
void sru_cuda_prepare(struct sru_dev *, const struct sru_weight *, size_t n);
/* The values that products take. */
const void *sru_cuda_values(const struct sru_weight *);

/* y [rows,out] = x W^T; dx [rows,in] (+)= dy W; dW (+)= dy^T x, in f32.  All rows are dense. */
void sru_cuda_forward(struct sru_cuda *, const struct sru_weight *, size_t rows, const sru_act *x, sru_act *y);
void sru_cuda_back(struct sru_cuda *, const struct sru_weight *, size_t rows, const sru_act *dy, bool add, sru_act *dx);
void sru_cuda_gradient(struct sru_cuda *, const struct sru_weight *, size_t rows, const sru_act *x, const sru_act *dy, bool add);

/* ---- Operators ------------------------------------------------------------------------------------- */

/* Floats of workspace for calls up to a shape, operator by operator. */
size_t sru_cuda_embed_work(const struct sru_shape *);
size_t sru_cuda_linear_work(const struct sru_cuda *, const struct sru_shape *);
size_t sru_cuda_attend_work(const struct sru_cuda *, const struct sru_shape *);
size_t sru_cuda_recall_work(const struct sru_shape *);
size_t sru_cuda_norm_work(const struct sru_cuda *, const struct sru_shape *);
size_t sru_cuda_recur_work(const struct sru_cuda *, const struct sru_shape *);
size_t sru_cuda_predict_work(const struct sru_cuda *, const struct sru_shape *);
size_t sru_cuda_muon_work(const struct sru_cuda *, const struct sru_shape *);

size_t sru_cuda_kept_attend(struct sru_dev *, const struct sru_attend *);
size_t sru_cuda_kept_recur(struct sru_dev *, const struct sru_recur *);
void sru_cuda_embed(struct sru_dev *, const struct sru_embed *);
void sru_cuda_embed_back(struct sru_dev *, const struct sru_embed *);
void sru_cuda_gather(struct sru_dev *, const struct sru_pick *);
void sru_cuda_scatter(struct sru_dev *, const struct sru_pick *);
void sru_cuda_add_at(struct sru_dev *, size_t n, const int32_t *at, const float *x, float *y);
void sru_cuda_linear(struct sru_dev *, const struct sru_linear *);
void sru_cuda_linear_back(struct sru_dev *, const struct sru_linear *);
void sru_cuda_attend(struct sru_dev *, const struct sru_attend *);
void sru_cuda_attend_back(struct sru_dev *, const struct sru_attend *);
void sru_cuda_recall(struct sru_dev *, const struct sru_recall *);
void sru_cuda_norm(struct sru_dev *, const struct sru_norm *);
void sru_cuda_norm_back(struct sru_dev *, const struct sru_norm *);
void sru_cuda_recur(struct sru_dev *, const struct sru_recur *);
void sru_cuda_recur_back(struct sru_dev *, const struct sru_recur *);
void sru_cuda_predict(struct sru_dev *, const struct sru_predict *);
void sru_cuda_predict_back(struct sru_dev *, const struct sru_predict *);
void sru_cuda_update(struct sru_dev *, const struct sru_update *);
void sru_cuda_muon(struct sru_dev *, const struct sru_muon *);
void sru_cuda_measure(struct sru_dev *, const struct sru_measure *);

#endif
