/* Products by cuBLASLt: plans are made once for each shape and kept. */
#include <stdlib.h>
#include <string.h>

#include "gpu/product.cuh"

enum { BUCKETS = 256, CANDIDATES = 16 };
#define WORKSPACE ((size_t)32 << 20)   /* what NVIDIA advises for Hopper */

struct plan {
    struct sru_cuda_call call;
    uint32_t alignment;         /* of all three pointers, in bytes */
    cublasLtMatmulAlgo_t algo;
    struct plan *next;
};

struct sru_cuda_products {
    void *workspace;
    struct plan *buckets[BUCKETS];
};

/* ---- Plans ------------------------------------------------------------------------------------------ */

static size_t bucket_of(const struct sru_cuda_product *k)
{
    const size_t values[] = { k->m, k->n, k->k, k->lda, k->ldb, k->ldc, k->batch, k->a_stride, k->b_stride, k->c_stride,
                              (size_t)k->ta | (size_t)k->tb << 1 | (size_t)k->add << 2 | (size_t)k->c_f32 << 3 };
    uint64_t h = 0;

    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        h = (h ^ values[i]) * 0x9E3779B97F4A7C15u;
    return (size_t)(h >> 56) % BUCKETS;
}

static bool same(const struct sru_cuda_product *x, const struct sru_cuda_product *y)
{
    return x->m == y->m && x->n == y->n && x->k == y->k && x->lda == y->lda && x->ldb == y->ldb && x->ldc == y->ldc
        && x->batch == y->batch && x->a_stride == y->a_stride && x->b_stride == y->b_stride && x->c_stride == y->c_stride
        && x->ta == y->ta && x->tb == y->tb && x->add == y->add && x->c_f32 == y->c_f32;
}

/* A row-major matrix [rows,cols] is to cuBLASLt, whose matrices go by columns, one of [cols,rows]. */
static cublasStatus_t layout(cublasLtMatrixLayout_t *out, cudaDataType_t type, size_t rows, size_t cols, size_t ld, size_t batch,
                             size_t stride)
{
    cublasStatus_t status = cublasLtMatrixLayoutCreate(out, type, cols, rows, (int64_t)(ld ? ld : cols));
    const int32_t count = (int32_t)batch;
    const int64_t apart = (int64_t)stride;

    if (!status && batch > 0)
        status = cublasLtMatrixLayoutSetAttribute(*out, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count);
    if (!status && batch > 0)
        status = cublasLtMatrixLayoutSetAttribute(*out, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &apart, sizeof apart);
    return status;
}

/* c^T = b^T a^T: what is b here comes first there. */
static cublasStatus_t describe(const struct sru_cuda *cuda, struct sru_cuda_call *p)
{
    const struct sru_cuda_product *k = &p->key;
    const cudaDataType_t in = cuda->bf16 ? CUDA_R_16BF : CUDA_R_32F, out = k->c_f32 ? CUDA_R_32F : in;
    const cublasOperation_t yes = CUBLAS_OP_T;
    cublasStatus_t status = cublasLtMatmulDescCreate(&p->op, CUBLAS_COMPUTE_32F, CUDA_R_32F);

    if (!status && k->tb)
        status = cublasLtMatmulDescSetAttribute(p->op, CUBLASLT_MATMUL_DESC_TRANSA, &yes, sizeof yes);
    if (!status && k->ta)
        status = cublasLtMatmulDescSetAttribute(p->op, CUBLASLT_MATMUL_DESC_TRANSB, &yes, sizeof yes);
    if (!status)
        status = layout(&p->a, in, k->ta ? k->k : k->m, k->ta ? k->m : k->k, k->lda, k->batch, k->a_stride);
    if (!status)
        status = layout(&p->b, in, k->tb ? k->n : k->k, k->tb ? k->k : k->n, k->ldb, k->batch, k->b_stride);
    if (!status)
        status = layout(&p->c, out, k->m, k->n, k->ldc, k->batch, k->c_stride);
    return status;
}

static cublasStatus_t choose(struct sru_cuda *cuda, struct plan *p)
{
    const uint64_t bytes = WORKSPACE;
    cublasLtMatmulPreference_t wishes;
    cublasLtMatmulHeuristicResult_t found[CANDIDATES];
    int n = 0;
    cublasStatus_t status = cublasLtMatmulPreferenceCreate(&wishes);

    if (status)
        return status;
    status = cublasLtMatmulPreferenceSetAttribute(wishes, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof bytes);
    const cublasLtMatmulPreferenceAttributes_t each[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
    };
    for (size_t i = 0; i < sizeof each / sizeof *each && !status; i++)
        status = cublasLtMatmulPreferenceSetAttribute(wishes, each[i], &p->alignment, sizeof p->alignment);
    if (!status)
        status = cublasLtMatmulAlgoGetHeuristic(cuda->lt, p->call.op, p->call.b, p->call.a, p->call.c, p->call.c, wishes, CANDIDATES, found, &n);
    if (!status && n == 0)
        status = CUBLAS_STATUS_NOT_SUPPORTED;
    if (!status)
        p->algo = sru_cuda_fastest(cuda, &p->call, found, n);
    cublasLtMatmulPreferenceDestroy(wishes);
    return status;
}

static void close_plan(struct plan *p)
{
    if (p->call.op)
        cublasLtMatmulDescDestroy(p->call.op);
    if (p->call.a)
        cublasLtMatrixLayoutDestroy(p->call.a);
    if (p->call.b)
        cublasLtMatrixLayoutDestroy(p->call.b);
    if (p->call.c)
        cublasLtMatrixLayoutDestroy(p->call.c);
    free(p);
}

static struct plan *find(struct sru_cuda *cuda, const struct sru_cuda_product *k, uint32_t alignment)
{
    struct plan **bucket = &cuda->products->buckets[bucket_of(k)], *p = *bucket;

    while (p && (p->alignment != alignment || !same(&p->call.key, k)))
        p = p->next;
    if (p || !(p = (struct plan *)calloc(1, sizeof *p)))
        return p;
    p->call.key = *k;
    p->alignment = alignment;
    if (describe(cuda, &p->call) || choose(cuda, p)) {
        close_plan(p);
        return NULL;
    }
    p->next = *bucket;
    *bucket = p;
    return p;
}

/* ---- Computing ------------------------------------------------------------------------------------------ */

/* Of all operands in all of a batch: 16 bytes, which the fast kernels need, or an element. */
static uint32_t alignment_of(const struct sru_cuda *cuda, const struct sru_cuda_product *k, uintptr_t pointers)
{
    const uint32_t element = cuda->bf16 ? 2 : 4;
    const size_t apart = (k->a_stride | k->b_stride | k->c_stride) * element;

    return (pointers | apart) % 16 == 0 ? 16 : element;
}

cublasStatus_t sru_cuda_call(struct sru_cuda *cuda, const struct sru_cuda_call *p, const cublasLtMatmulAlgo_t *algo, const void *a,
                             const void *b, void *c)
{
    const float one = 1, add = p->key.add ? 1 : 0;

    return cublasLtMatmul(cuda->lt, p->op, &one, b, p->b, a, p->a, &add, c, p->c, c, p->c, algo, cuda->products->workspace, WORKSPACE,
                          cuda->stream);
}

void sru_cuda_multiply(struct sru_cuda *cuda, const struct sru_cuda_product *k, const void *a, const void *b, void *c)
{
    if (sru_cuda_few_rows(cuda, k, a, b, c))
        return;
    struct plan *p = find(cuda, k, alignment_of(cuda, k, (uintptr_t)a | (uintptr_t)b | (uintptr_t)c));

    if (!p || sru_cuda_call(cuda, &p->call, &p->algo, a, b, c))
        sru_cuda_check(cuda, cudaErrorUnknown, "a matrix product");
}

sru_status sru_cuda_products_open(struct sru_cuda *cuda, struct sru_error *err)
{
    cuda->products = (struct sru_cuda_products *)calloc(1, sizeof *cuda->products);
    if (!cuda->products || cudaMalloc(&cuda->products->workspace, WORKSPACE))
        return sru_fail(err, SRU_ENOMEM, "out of memory to open the GPU's products");
    if (cublasLtCreate(&cuda->lt))
        return sru_fail(err, SRU_EDEVICE, "cuBLASLt cannot be used");
    return SRU_OK;
}

void sru_cuda_products_close(struct sru_cuda *cuda)
{
    struct sru_cuda_products *x = cuda->products;

    if (!x)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct plan *p = x->buckets[i], *next; p; p = next) {
            next = p->next;
            close_plan(p);
        }
    cudaFree(x->workspace);
    if (cuda->lt)
        cublasLtDestroy(cuda->lt);
    free(x);
}
