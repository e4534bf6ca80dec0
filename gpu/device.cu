/* The GPU's device: memory, workspace, errors, and the table of its operators. */
#include <stdlib.h>
#include <string.h>

#include "gpu/device.cuh"
#include "simd/philox.h"

void sru_cuda_check(struct sru_cuda *cuda, cudaError_t error, const char *what)
{
    if (error == cudaSuccess || cuda->error != cudaSuccess)
        return;
    cuda->error = error;
    cuda->failed = what;
}

struct sru_cuda_mask sru_cuda_mask_of(const struct sru_mask *m)
{
    return (struct sru_cuda_mask){
        .given = m->given, .on = sru_mask_is_on(m), .keep = 1.0f / (1.0f - m->rate),
        .limit = sru_philox_limit(m->rate), .site = m->layer << 8 | m->site, .seed = m->seed,
        .step = m->step,
    };
}

/* ---- Memory --------------------------------------------------------------------------------- */

static void *cuda_alloc(struct sru_dev *dev, size_t bytes)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);
    void *p;

    if (cudaMalloc(&p, bytes > 0 ? bytes : 1) != cudaSuccess) {
        cudaGetLastError();   /* it would be taken for a launch's */
        return NULL;
    }
    sru_cuda_check(cuda, cudaMemsetAsync(p, 0, bytes, cuda->stream), "clearing memory");
    return p;
}

static void cuda_release(struct sru_dev *dev, void *p)
{
    sru_cuda_check(sru_cuda_of(dev), cudaFree(p), "releasing memory");
}

static void cuda_get(struct sru_dev *dev, void *host, const void *src, size_t bytes)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    sru_cuda_check(cuda, cudaMemcpyAsync(host, src, bytes, cudaMemcpyDeviceToHost, cuda->stream), "copying from the GPU");
    sru_cuda_check(cuda, cudaStreamSynchronize(cuda->stream), "work on the GPU");
}

static void cuda_put_act(struct sru_dev *dev, sru_act *dst, const float *host, size_t n)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);
    __nv_bfloat16 *room;

    if (!cuda->bf16) {
        sru_cuda_put(dev, dst, host, n * sizeof *host);
        return;
    }
    if (!(room = (__nv_bfloat16 *)malloc(n * sizeof *room + 1))) {
        sru_cuda_check(cuda, cudaErrorMemoryAllocation, "copying to the GPU");
        return;
    }
    for (size_t i = 0; i < n; i++)
        room[i] = __float2bfloat16_rn(host[i]);
    sru_cuda_put(dev, dst, room, n * sizeof *room);
    free(room);
}

static void cuda_get_act(struct sru_dev *dev, float *host, const sru_act *src, size_t n)
{
    __nv_bfloat16 *room = (__nv_bfloat16 *)host;   /* widened in place, from the last on */

    if (!sru_cuda_of(dev)->bf16) {
        cuda_get(dev, host, src, n * sizeof *host);
        return;
    }
    cuda_get(dev, room, src, n * sizeof *room);
    for (size_t i = n; i-- > 0;) {
        uint16_t half;
        memcpy(&half, (const char *)host + i * sizeof half, sizeof half);
        const uint32_t whole = (uint32_t)half << 16;
        memcpy(host + i, &whole, sizeof whole);
    }
}

/* blockIdx.y is the piece.  The runtime's own copy of rows is half as fast. */
static __global__ void copy_pieces(size_t n, size_t stride, const uint4 *from, uint4 *to)
{
    const size_t at = blockIdx.y * stride, step = (size_t)gridDim.x * blockDim.x;

#pragma unroll 4
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step)
        to[at + i] = from[at + i];
}

/* n pieces that do not overlap. */
static void copy_apart(struct sru_cuda *cuda, char *to, const char *from, size_t bytes, size_t n, size_t stride)
{
    const size_t wide = bytes / sizeof(uint4), blocks = (wide + 1023) / 1024;
    const uintptr_t all = (uintptr_t)to | (uintptr_t)from | bytes | stride;

    if (all % sizeof(uint4) == 0 && n <= 65535) {
        copy_pieces<<<dim3((unsigned)(blocks < 65535 ? blocks : 65535), (unsigned)n), 256, 0, cuda->stream>>>(
            wide, stride / sizeof(uint4), (const uint4 *)from, (uint4 *)to);
        sru_cuda_launched(cuda, "copying on the GPU");
    } else {
        sru_cuda_check(cuda, cudaMemcpy2DAsync(to, stride, from, stride, bytes, n, cudaMemcpyDeviceToDevice, cuda->stream),
                       "copying on the GPU");
    }
}

/* A piece that overlaps itself goes in parts, which do not. */
static void cuda_copy(struct sru_dev *dev, void *dst, const void *src, size_t bytes, size_t n, size_t stride)
{
    char *to = (char *)dst;
    const char *from = (const char *)src;
    const size_t apart = to < from ? (size_t)(from - to) : (size_t)(to - from);

    for (size_t at = 0; at < bytes && apart > 0 && n > 0; at += apart) {
        const size_t part = apart < bytes - at ? apart : bytes - at, i = to < from ? at : bytes - at - part;

        copy_apart(sru_cuda_of(dev), to + i, from + i, part, n, n > 1 ? stride : part);
    }
}

static void cuda_zero(struct sru_dev *dev, void *p, size_t bytes)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    sru_cuda_check(cuda, cudaMemsetAsync(p, 0, bytes, cuda->stream), "clearing memory");
}

static uint64_t cuda_left(struct sru_dev *dev)
{
    size_t left = 0, all;

    sru_cuda_check(sru_cuda_of(dev), cudaMemGetInfo(&left, &all), "asking for the GPU's memory");
    return left;
}

/* ---- Workspace -------------------------------------------------------------------------------- */

static size_t cuda_work(struct sru_dev *dev, const struct sru_shape *s)
{
    const struct sru_cuda *cuda = sru_cuda_of(dev);
    const size_t each[] = { sru_cuda_embed_work(s),        sru_cuda_linear_work(cuda, s), sru_cuda_attend_work(cuda, s),
                            sru_cuda_recall_work(s),       sru_cuda_norm_work(cuda, s),   sru_cuda_recur_work(cuda, s),
                            sru_cuda_predict_work(cuda, s), sru_cuda_muon_work(cuda, s) };
    size_t most = 0;

    for (size_t i = 0; i < sizeof each / sizeof *each; i++)
        most = each[i] > most ? each[i] : most;
    return most * sizeof(float);
}

static sru_status cuda_reserve(struct sru_dev *dev, const struct sru_shape *s, struct sru_error *err)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);
    const size_t bytes = cuda_work(dev, s);

    if (bytes <= cuda->work_bytes)
        return SRU_OK;
    cudaStreamSynchronize(cuda->stream);
    cudaFree(cuda->work);
    cuda->work_bytes = 0;
    if (!(cuda->work = (float *)cuda_alloc(dev, bytes)))
        return sru_fail(err, SRU_ENOMEM, "out of the GPU's memory for a workspace of %zu MB", bytes >> 20);
    cuda->work_bytes = bytes;
    return SRU_OK;
}

/* ---- The device --------------------------------------------------------------------------------- */

sru_status sru_cuda_status(struct sru_cuda *cuda, struct sru_error *err)
{
    if (cuda->error == cudaSuccess)
        return SRU_OK;
    const cudaError_t error = cuda->error;
    cuda->error = cudaSuccess;
    return sru_fail(err, SRU_EDEVICE, "%s failed: %s", cuda->failed, cudaGetErrorString(error));
}

static sru_status cuda_sync(struct sru_dev *dev, struct sru_error *err)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    sru_cuda_check(cuda, cudaStreamSynchronize(cuda->stream), "work on the GPU");
    return sru_cuda_status(cuda, err);
}

static void cuda_close(struct sru_dev *dev)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    sru_cuda_products_close(cuda);
    sru_cuda_queue_close(cuda);
    cudaFree(cuda->work);
    cudaFree(cuda->sums);
    if (cuda->stream)
        cudaStreamDestroy(cuda->stream);
    free(cuda);
}

static const struct sru_ops cuda_ops = {
    .turns = true,
    .alloc = cuda_alloc,
    .release = cuda_release,
    .put = sru_cuda_put,
    .get = cuda_get,
    .put_act = cuda_put_act,
    .get_act = cuda_get_act,
    .copy = cuda_copy,
    .zero = cuda_zero,
    .left = cuda_left,
    .kept_attend = sru_cuda_kept_attend,
    .kept_recur = sru_cuda_kept_recur,
    .work = cuda_work,
    .reserve = cuda_reserve,
    .operand_open = sru_cuda_operand_open,
    .operand_bytes = sru_cuda_operand_bytes,
    .operand_close = sru_cuda_operand_close,
    .prepare = sru_cuda_prepare,
    .embed = sru_cuda_embed,
    .embed_back = sru_cuda_embed_back,
    .gather = sru_cuda_gather,
    .scatter = sru_cuda_scatter,
    .add_at = sru_cuda_add_at,
    .linear = sru_cuda_linear,
    .linear_back = sru_cuda_linear_back,
    .attend = sru_cuda_attend,
    .attend_back = sru_cuda_attend_back,
    .recall = sru_cuda_recall,
    .norm = sru_cuda_norm,
    .norm_back = sru_cuda_norm_back,
    .recur = sru_cuda_recur,
    .recur_back = sru_cuda_recur_back,
    .predict = sru_cuda_predict,
    .predict_back = sru_cuda_predict_back,
    .update = sru_cuda_update,
    .muon = sru_cuda_muon,
    .measure = sru_cuda_measure,
    .record = sru_cuda_record,
    .recorded = sru_cuda_recorded,
    .replay = sru_cuda_replay,
    .forget = sru_cuda_forget,
    .send = sru_cuda_send,
    .receive = sru_cuda_receive,
    .sync = cuda_sync,
    .close = cuda_close,
};

int sru_cuda_count(void)
{
    int n = 0;

    return cudaGetDeviceCount(&n) == cudaSuccess ? n : (cudaGetLastError(), 0);
}

static sru_status open_parts(struct sru_cuda *cuda, struct sru_error *err)
{
    cudaError_t error = cudaSetDevice(cuda->index);

    if (!error)
        error = cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking);
    if (!error)
        error = cudaMalloc(&cuda->sums, SRU_CUDA_SUMS * sizeof *cuda->sums);
    if (error)
        return sru_fail(err, SRU_EDEVICE, "GPU %d cannot be used: %s", cuda->index, cudaGetErrorString(error));
    const sru_status status = sru_cuda_queue_open(cuda, err);
    return status ? status : sru_cuda_products_open(cuda, err);
}

sru_status sru_cuda_open(int index, enum sru_precision precision, struct sru_dev **out, struct sru_error *err)
{
    const int n = sru_cuda_count();
    const bool bf16 = precision != SRU_PRECISION_F32;
    struct sru_cuda *cuda;

    *out = NULL;
    if (n == 0)
        return sru_fail(err, SRU_EDEVICE, "no NVIDIA GPU here, or no driver for it (--device cpu)");
    if (index < 0 || index >= n)
        return sru_fail(err, SRU_EDEVICE, "no GPU %d here: there are %d, from 0 on", index, n);
    if (!(cuda = (struct sru_cuda *)calloc(1, sizeof *cuda)))
        return sru_fail(err, SRU_ENOMEM, "out of memory to open the GPU");
    cuda->index = index;
    cuda->bf16 = bf16;
    cuda->dev = (struct sru_dev){ .ops = &cuda_ops, .name = "cuda", .kernels = "cuda", .act_bytes = bf16 ? 2u : 4u, .threads = 1 };
    const sru_status status = open_parts(cuda, err);
    if (status) {
        cuda_close(&cuda->dev);
        return status;
    }
    *out = &cuda->dev;
    return SRU_OK;
}
