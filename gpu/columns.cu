/* Sums of columns: of groups of rows, then of the groups. */
#include "gpu/device.cuh"

enum {
    ACROSS = 32, DOWN = 8,      /* a block's threads: columns, and rows at a time */
    LEAST_ROWS = 64,            /* of a group */
    MOST_BLOCKS = 1056,         /* what fills a large GPU */
};

static size_t groups_of(size_t rows, size_t cols)
{
    const size_t wide = (cols + ACROSS - 1) / ACROSS, most = (rows + LEAST_ROWS - 1) / LEAST_ROWS;

    return sru_max(1, sru_min(most, (MOST_BLOCKS + wide - 1) / wide));
}

/* No less than groups * cols for any smaller rows or cols: the number of groups falls as columns rise. */
size_t sru_cuda_columns_work(size_t rows, size_t cols)
{
    return sru_min((rows + LEAST_ROWS - 1) / LEAST_ROWS * cols, (size_t)MOST_BLOCKS * ACROSS + cols);
}

/* out[g][j] of group g = blockIdx.y. */
template <typename X> __global__ static void sum_groups(size_t rows, size_t cols, size_t stride, const X *x, bool add, float *out)
{
    __shared__ float part[DOWN][ACROSS];
    const size_t j = (size_t)blockIdx.x * ACROSS + threadIdx.x;
    const size_t from = rows * blockIdx.y / gridDim.y, to = rows * (blockIdx.y + 1) / gridDim.y;
    float sum = 0;

    if (j < cols) {
#pragma unroll 8
        for (size_t i = from + threadIdx.y; i < to; i += DOWN)
            sum += sru_load(x + i * stride + j);
    }
    part[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y > 0 || j >= cols)
        return;
    for (int i = 1; i < DOWN; i++)
        sum += part[i][threadIdx.x];
    out += blockIdx.y * cols + j;
    *out = add ? *out + sum : sum;
}

template <typename X> static void launch(struct sru_cuda *cuda, size_t groups, size_t rows, size_t cols, size_t stride, const X *x,
                                         bool add, float *out)
{
    const dim3 grid((unsigned)((cols + ACROSS - 1) / ACROSS), (unsigned)groups), block(ACROSS, DOWN);

    sum_groups<X><<<grid, block, 0, cuda->stream>>>(rows, cols, stride, x, add, out);
    sru_cuda_launched(cuda, "sums of columns");
}

template <typename X> void sru_cuda_columns(struct sru_cuda *cuda, size_t rows, size_t cols, size_t stride, const X *x, bool add,
                                            float *work, float *out)
{
    const size_t groups = groups_of(rows, cols);

    if (cols == 0)
        return;
    if (groups == 1) {
        launch(cuda, 1, rows, cols, stride, x, add, out);
        return;
    }
    launch(cuda, groups, rows, cols, stride, x, false, work);
    launch(cuda, 1, groups, cols, cols, (const float *)work, add, out);
}

template void sru_cuda_columns<float>(struct sru_cuda *, size_t, size_t, size_t, const float *, bool, float *, float *);
template void sru_cuda_columns<__nv_bfloat16>(struct sru_cuda *, size_t, size_t, size_t, const __nv_bfloat16 *, bool, float *,
                                              float *);
