/* Which of cuBLASLt's algorithms is the fastest for a product: see product.cuh. */
#include <math.h>

#include "gpu/product.cuh"

enum { THREADS = 256, BLOCKS = 1024, ROUNDS = 3, TIMES = 4 };
#define WORTH 4e9   /* flops, some 8 microseconds on an H100: smaller products' shapes may be new with every token */

/* Random operands of one product, and its result. */
struct trial {
    char  *a, *b, *c;           /* one allocation, which begins with a */
    size_t c_bytes;
    unsigned long long *hash;
    cudaEvent_t from, to;
};

__global__ static void draw(size_t n, bool bf16, char *p)
{
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < n; i += (size_t)gridDim.x * THREADS) {
        uint32_t x = (uint32_t)i * 2654435761u + 12345u;

        x = (x ^ x >> 15) * 0x85EBCA6Bu;
        const float value = (float)((x ^ x >> 13) >> 8 & 0xFFFF) / 32768.0f - 1.0f;
        if (bf16)
            ((__nv_bfloat16 *)p)[i] = __float2bfloat16_rn(value);
        else
            ((float *)p)[i] = value;
    }
}

/* n words; sums of integers do not depend on their order. */
__global__ static void hash(size_t n, const uint32_t *p, unsigned long long *out)
{
    unsigned long long sum = 0;

    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < n; i += (size_t)gridDim.x * THREADS)
        sum += (p[i] + 1ull) * (i * 0x9E3779B97F4A7C15ull | 1);
    atomicAdd(out, sum);
}

/* Elements from the first to the last of a matrix [rows,cols] of each of a batch. */
static size_t span(size_t rows, size_t cols, size_t length, size_t batch, size_t stride)
{
    return (batch > 1 ? (batch - 1) * stride : 0) + (rows - 1) * (length ? length : cols) + cols;
}

static bool trial_open(struct trial *t, struct sru_cuda *cuda, const struct sru_cuda_product *k)
{
    const size_t act = cuda->dev.act_bytes;
    const size_t a = span(k->ta ? k->k : k->m, k->ta ? k->m : k->k, k->lda, k->batch, k->a_stride);
    const size_t b = span(k->tb ? k->n : k->k, k->tb ? k->k : k->n, k->ldb, k->batch, k->b_stride);
    const size_t a_bytes = sru_round_up(a * act, 256), b_bytes = sru_round_up(b * act, 256);

    t->c_bytes = sru_round_up(span(k->m, k->n, k->ldc, k->batch, k->c_stride) * (k->c_f32 ? sizeof(float) : act), 256);
    if (!(t->a = (char *)cuda->dev.ops->alloc(&cuda->dev, a_bytes + b_bytes + t->c_bytes + 256)))
        return false;
    t->b = t->a + a_bytes;
    t->c = t->b + b_bytes;
    t->hash = (unsigned long long *)(t->c + t->c_bytes);
    draw<<<BLOCKS, THREADS, 0, cuda->stream>>>(a, cuda->bf16, t->a);
    draw<<<BLOCKS, THREADS, 0, cuda->stream>>>(b, cuda->bf16, t->b);
    sru_cuda_launched(cuda, "measuring a product");
    return !cudaEventCreate(&t->from) && !cudaEventCreate(&t->to);
}

static void trial_close(struct trial *t, struct sru_cuda *cuda)
{
    if (t->from)
        cudaEventDestroy(t->from);
    if (t->to)
        cudaEventDestroy(t->to);
    cuda->dev.ops->release(&cuda->dev, t->a);
}

/* The bits of the product, in a word; false where the algorithm does not run. */
static bool bits(struct trial *t, struct sru_cuda *cuda, const struct sru_cuda_call *call, const cublasLtMatmulAlgo_t *algo,
                 unsigned long long *out)
{
    cudaMemsetAsync(t->c, 0, t->c_bytes + sizeof *out, cuda->stream);
    if (sru_cuda_call(cuda, call, algo, t->a, t->b, t->c))
        return false;
    hash<<<BLOCKS, THREADS, 0, cuda->stream>>>(t->c_bytes / sizeof(uint32_t), (const uint32_t *)t->c, t->hash);
    return !cudaMemcpyAsync(out, t->hash, sizeof *out, cudaMemcpyDeviceToHost, cuda->stream) && !cudaStreamSynchronize(cuda->stream);
}

/* Milliseconds: the least of some rounds. */
static float duration(struct trial *t, struct sru_cuda *cuda, const struct sru_cuda_call *call, const cublasLtMatmulAlgo_t *algo)
{
    float least = INFINITY, some;

    for (int i = 0; i < ROUNDS; i++) {
        cudaEventRecord(t->from, cuda->stream);
        for (int j = 0; j < TIMES; j++)
            sru_cuda_call(cuda, call, algo, t->a, t->b, t->c);
        cudaEventRecord(t->to, cuda->stream);
        if (!cudaEventSynchronize(t->to) && !cudaEventElapsedTime(&some, t->from, t->to) && some < least)
            least = some;
    }
    return least;
}

static int fastest(struct trial *t, struct sru_cuda *cuda, const struct sru_cuda_call *call, const cublasLtMatmulHeuristicResult_t *r,
                   int n)
{
    unsigned long long first, these;
    int best = 0;

    if (!bits(t, cuda, call, &r[0].algo, &first))
        return 0;
    float least = duration(t, cuda, call, &r[0].algo);
    for (int i = 1; i < n; i++) {
        if (!bits(t, cuda, call, &r[i].algo, &these) || these != first)
            continue;
        const float some = duration(t, cuda, call, &r[i].algo);
        if (some < least) {
            least = some;
            best = i;
        }
    }
    return best;
}

cublasLtMatmulAlgo_t sru_cuda_fastest(struct sru_cuda *cuda, const struct sru_cuda_call *call, const cublasLtMatmulHeuristicResult_t *r,
                                      int n)
{
    const struct sru_cuda_product *k = &call->key;
    const double flops = 2.0 * (double)k->m * (double)k->n * (double)k->k * (double)(k->batch ? k->batch : 1);
    cudaStreamCaptureStatus recording = cudaStreamCaptureStatusNone;
    struct trial t = {};
    int best = 0;

    cudaStreamIsCapturing(cuda->stream, &recording);
    if (n > 1 && flops >= WORTH && recording == cudaStreamCaptureStatusNone) {
        if (trial_open(&t, cuda, k))
            best = fastest(&t, cuda, call, r, n);
        trial_close(&t, cuda);
    }
    return r[best].algo;
}
