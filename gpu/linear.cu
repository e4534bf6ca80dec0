/* Products with weights, their operands, and the linear operator. */
#include <stdlib.h>

#include "gpu/device.cuh"

/* ---- Operands ------------------------------------------------------------------------------------- */

size_t sru_cuda_operand_bytes(struct sru_dev *dev, size_t in, size_t out, enum sru_use use)
{
    (void)use;   /* one copy serves all */
    return sru_cuda_of(dev)->bf16 ? in * sru_round_up(out, SRU_CUDA_PAD) * sizeof(__nv_bfloat16) : 0;
}

void sru_cuda_operand_close(struct sru_dev *dev, void *operand)
{
    struct sru_cuda_operand *o = (struct sru_cuda_operand *)operand;

    if (!o)
        return;
    dev->ops->release(dev, o->copy);
    free(o);
}

void *sru_cuda_operand_open(struct sru_dev *dev, size_t in, size_t out, bool in_first, enum sru_use use)
{
    const size_t bytes = sru_cuda_operand_bytes(dev, in, out, use);
    struct sru_cuda_operand *o = (struct sru_cuda_operand *)malloc(sizeof *o);

    if (!o)
        return NULL;
    *o = (struct sru_cuda_operand){ .in = in, .out = out, .in_first = in_first };
    if (bytes == 0 || (o->copy = dev->ops->alloc(dev, bytes)))
        return o;
    free(o);
    return NULL;
}

enum { LISTED = 64, THREADS = 256 };

/* Matrices of n elements each to copy. */
struct list {
    struct { size_t n; const float *from; __nv_bfloat16 *to; } of[LISTED];
};

/* An eight of elements. */
__device__ static uint4 narrowed(const float4 *x)
{
    union { __nv_bfloat162 pair[4]; uint4 all; } eight;

    eight.pair[0] = __floats2bfloat162_rn(x[0].x, x[0].y);
    eight.pair[1] = __floats2bfloat162_rn(x[0].z, x[0].w);
    eight.pair[2] = __floats2bfloat162_rn(x[1].x, x[1].y);
    eight.pair[3] = __floats2bfloat162_rn(x[1].z, x[1].w);
    return eight.all;
}

/* blockIdx.y is the matrix. */
static __global__ void narrow(struct list list)
{
    const size_t n = list.of[blockIdx.y].n, first = (size_t)blockIdx.x * THREADS + threadIdx.x, step = (size_t)gridDim.x * THREADS;
    const float *from = list.of[blockIdx.y].from;
    __nv_bfloat16 *to = list.of[blockIdx.y].to;

    if (n % 8 == 0 && ((uintptr_t)from | (uintptr_t)to) % 16 == 0) {
#pragma unroll 4
        for (size_t i = first; i < n / 8; i += step)
            ((uint4 *)to)[i] = narrowed((const float4 *)from + 2 * i);
    } else {
        for (size_t i = first; i < n; i += step)
            to[i] = __float2bfloat16_rn(from[i]);
    }
}

void sru_cuda_prepare(struct sru_dev *dev, const struct sru_weight *w, size_t n)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    for (size_t i = 0; i < n && cuda->bf16; i += LISTED) {
        const size_t listed = sru_min(n - i, LISTED);
        struct list list;

        for (size_t j = 0; j < listed; j++) {
            const struct sru_cuda_operand *o = (const struct sru_cuda_operand *)w[i + j].operand;

            list.of[j] = { o->in * o->out, w[i + j].w, (__nv_bfloat16 *)o->copy };
        }
        narrow<<<dim3(128, (unsigned)listed), THREADS, 0, cuda->stream>>>(list);
        sru_cuda_launched(cuda, "prepare");
    }
}

const void *sru_cuda_values(const struct sru_weight *w)
{
    const struct sru_cuda_operand *o = (const struct sru_cuda_operand *)w->operand;

    return o->copy ? o->copy : w->w;
}

/* ---- Products with weights -------------------------------------------------------------------------- */

void sru_cuda_forward(struct sru_cuda *cuda, const struct sru_weight *w, size_t rows, const sru_act *x, sru_act *y)
{
    const struct sru_cuda_operand *o = (const struct sru_cuda_operand *)w->operand;
    const struct sru_cuda_product k = { .m = rows, .n = o->out, .k = o->in, .tb = !o->in_first };

    sru_cuda_multiply(cuda, &k, x, sru_cuda_values(w), y);
}

void sru_cuda_back(struct sru_cuda *cuda, const struct sru_weight *w, size_t rows, const sru_act *dy, bool add, sru_act *dx)
{
    const struct sru_cuda_operand *o = (const struct sru_cuda_operand *)w->operand;
    const struct sru_cuda_product k = { .m = rows, .n = o->in, .k = o->out, .tb = o->in_first, .add = add };

    sru_cuda_multiply(cuda, &k, dy, sru_cuda_values(w), dx);
}

void sru_cuda_gradient(struct sru_cuda *cuda, const struct sru_weight *w, size_t rows, const sru_act *x, const sru_act *dy, bool add)
{
    const struct sru_cuda_operand *o = (const struct sru_cuda_operand *)w->operand;
    const struct sru_cuda_product k = { .m = o->in_first ? o->in : o->out, .n = o->in_first ? o->out : o->in, .k = rows, .ta = true,
                                        .add = add, .c_f32 = true };

    sru_cuda_multiply(cuda, &k, o->in_first ? x : dy, o->in_first ? dy : x, w->g);
}

/* ---- The operator ------------------------------------------------------------------------------------- */

void sru_cuda_linear(struct sru_dev *dev, const struct sru_linear *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);
    const struct sru_blocks k = sru_blocks_of(s->B, s->rows, s->x.stride == s->rows * s->in && s->y.stride == s->rows * s->out);

    for (size_t b = 0; b < k.n; b++)
        sru_cuda_forward(cuda, &s->w, k.rows, sru_row(dev, s->x, b, 0, s->in), sru_row(dev, s->y, b, 0, s->out));
}

/* Rows of a stream that fill products' tiles; fewer of all streams are better copied together. */
enum { ENOUGH_ROWS = 256 };

size_t sru_cuda_linear_work(const struct sru_cuda *cuda, const struct sru_shape *s)
{
    return s->train && s->T < ENOUGH_ROWS ? (s->B * s->T * s->p * cuda->dev.act_bytes + sizeof(float) - 1) / sizeof(float) : 0;
}

/* dx: of all streams in one product, or in a batch. */
static void inputs_back(struct sru_cuda *cuda, const struct sru_linear *s)
{
    const size_t rows = s->dx_rows, row = s->out * cuda->dev.act_bytes;
    const struct sru_cuda_operand *o = (const struct sru_cuda_operand *)s->w.operand;
    const sru_act *dy = sru_row(&cuda->dev, s->dy, 0, s->dx_from, s->out);
    const bool to_rows = s->dx.stride == rows * s->in;
    bool from_rows = s->dy.stride == rows * s->out;
    struct sru_cuda_product k = { .m = rows, .n = s->in, .k = s->out, .tb = o->in_first, .add = s->add_dx };

    if (to_rows && !from_rows && rows < s->rows && rows < ENOUGH_ROWS) {   /* some rows: no more than a segment's, for which there is room */
        sru_cuda_check(cuda, cudaMemcpy2DAsync(cuda->work, rows * row, dy, s->dy.stride * cuda->dev.act_bytes, rows * row, s->B,
                                               cudaMemcpyDeviceToDevice, cuda->stream), "linear_back");
        dy = (const sru_act *)cuda->work;
        from_rows = true;
    }
    if (from_rows && to_rows) {
        k.m = s->B * rows;
    } else {
        k.batch = s->B;
        k.a_stride = s->dy.stride;
        k.c_stride = s->dx.stride;
    }
    sru_cuda_multiply(cuda, &k, dy, sru_cuda_values(&s->w), s->dx.p);
}

void sru_cuda_linear_back(struct sru_dev *dev, const struct sru_linear *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);
    const struct sru_blocks k = sru_blocks_of(s->B, s->rows, s->x.stride == s->rows * s->in && s->dy.stride == s->rows * s->out);

    for (size_t b = 0; b < k.n; b++)
        sru_cuda_gradient(cuda, &s->w, k.rows, sru_row(dev, s->x, b, 0, s->in), sru_row(dev, s->dy, b, 0, s->out),
                          s->add_dw || b > 0);
    if (s->dx.p)
        inputs_back(cuda, s);
}
