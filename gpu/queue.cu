/*
 * The queue between host and GPU: what is put passes through pinned memory, so that the host need not wait; gauges come back by
 * boxes; a step is recorded as a CUDA graph.
 */
#include <stdlib.h>
#include <string.h>

#include "gpu/device.cuh"

enum { HALVES = 2, HALF = 1 << 20 /* bytes */, BOXES = 2 };

struct sru_cuda_queue {
    char *pinned;                      /* [HALVES][HALF], and then the boxes */
    size_t used;                       /* of the present half */
    int half;
    cudaEvent_t free[HALVES];          /* all copies from a half are done */
    struct sru_gauge *boxes;           /* [BOXES] */
    cudaEvent_t sent[BOXES];
};

struct record {
    cudaGraphExec_t graph;
    const float *work;                 /* the workspace that it knows */
};

sru_status sru_cuda_queue_open(struct sru_cuda *cuda, struct sru_error *err)
{
    struct sru_cuda_queue *q = (struct sru_cuda_queue *)calloc(1, sizeof *q);
    cudaError_t error = q ? cudaSuccess : cudaErrorMemoryAllocation;

    cuda->queue = q;
    if (!error)
        error = cudaMallocHost(&q->pinned, HALVES * HALF + BOXES * sizeof *q->boxes);
    for (int i = 0; i < HALVES && !error; i++)
        error = cudaEventCreateWithFlags(&q->free[i], cudaEventDisableTiming);
    for (int i = 0; i < BOXES && !error; i++)
        error = cudaEventCreateWithFlags(&q->sent[i], cudaEventDisableTiming);
    if (error)
        return sru_fail(err, SRU_EDEVICE, "GPU %d cannot be used: %s", cuda->index, cudaGetErrorString(error));
    q->boxes = (struct sru_gauge *)(q->pinned + HALVES * HALF);
    return SRU_OK;
}

void sru_cuda_queue_close(struct sru_cuda *cuda)
{
    struct sru_cuda_queue *q = cuda->queue;

    if (!q)
        return;
    for (int i = 0; i < HALVES; i++)
        if (q->free[i])
            cudaEventDestroy(q->free[i]);
    for (int i = 0; i < BOXES; i++)
        if (q->sent[i])
            cudaEventDestroy(q->sent[i]);
    cudaFreeHost(q->pinned);
    free(q);
}

/* ---- To the GPU ------------------------------------------------------------------------------------ */

/* The other half, when its copies are done. */
static void turn(struct sru_cuda *cuda)
{
    struct sru_cuda_queue *q = cuda->queue;

    sru_cuda_check(cuda, cudaEventRecord(q->free[q->half], cuda->stream), "copying to the GPU");
    q->half = (q->half + 1) % HALVES;
    q->used = 0;
    sru_cuda_check(cuda, cudaEventSynchronize(q->free[q->half]), "copying to the GPU");
}

void sru_cuda_put(struct sru_dev *dev, void *dst, const void *host, size_t bytes)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);
    struct sru_cuda_queue *q = cuda->queue;

    for (size_t at = 0; at < bytes;) {
        if (q->used == HALF)
            turn(cuda);
        const size_t some = sru_min(bytes - at, HALF - q->used);
        char *through = q->pinned + (size_t)q->half * HALF + q->used;

        memcpy(through, (const char *)host + at, some);
        sru_cuda_check(cuda, cudaMemcpyAsync((char *)dst + at, through, some, cudaMemcpyHostToDevice, cuda->stream), "copying to the GPU");
        q->used += some;
        at += some;
    }
}

/* ---- To the host ------------------------------------------------------------------------------------ */

void sru_cuda_send(struct sru_dev *dev, int box, const struct sru_gauge *gauge)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);
    struct sru_cuda_queue *q = cuda->queue;

    sru_cuda_check(cuda, cudaMemcpyAsync(&q->boxes[box], gauge, sizeof *gauge, cudaMemcpyDeviceToHost, cuda->stream), "copying from the GPU");
    sru_cuda_check(cuda, cudaEventRecord(q->sent[box], cuda->stream), "copying from the GPU");
}

sru_status sru_cuda_receive(struct sru_dev *dev, int box, struct sru_gauge *host, struct sru_error *err)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    sru_cuda_check(cuda, cudaEventSynchronize(cuda->queue->sent[box]), "work on the GPU");
    *host = cuda->queue->boxes[box];
    return sru_cuda_status(cuda, err);
}

/* ---- Records --------------------------------------------------------------------------------------------- */

void sru_cuda_record(struct sru_dev *dev)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    sru_cuda_check(cuda, cudaStreamBeginCapture(cuda->stream, cudaStreamCaptureModeThreadLocal), "recording a step");
}

static struct record *end_record(struct sru_cuda *cuda)
{
    struct record *r = (struct record *)calloc(1, sizeof *r);
    cudaGraph_t graph = NULL;
    cudaError_t error = cudaStreamEndCapture(cuda->stream, &graph);

    if (!r && !error)
        error = cudaErrorMemoryAllocation;
    if (!error)
        error = cudaGraphInstantiate(&r->graph, graph, 0);
    if (graph)
        cudaGraphDestroy(graph);
    sru_cuda_check(cuda, error, "recording a step");
    if (error) {
        free(r);
        return NULL;
    }
    r->work = cuda->work;
    return r;
}

void sru_cuda_recorded(struct sru_dev *dev, void **record)
{
    struct record *r = end_record(sru_cuda_of(dev));

    sru_cuda_forget(dev, *record);
    *record = r;
    sru_cuda_replay(dev, r);
}

bool sru_cuda_replay(struct sru_dev *dev, void *record)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);
    const struct record *r = (const struct record *)record;

    if (!r || r->work != cuda->work)
        return false;
    sru_cuda_check(cuda, cudaGraphLaunch(r->graph, cuda->stream), "a recorded step");
    return true;
}

void sru_cuda_forget(struct sru_dev *dev, void *record)
{
    struct record *r = (struct record *)record;

    if (!r)
        return;
    sru_cuda_check(sru_cuda_of(dev), cudaGraphExecDestroy(r->graph), "forgetting a step");
    free(r);
}
