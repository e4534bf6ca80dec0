/* Rows of a segment side by side, and back: a block a row. */
#include "gpu/groups.cuh"

enum { THREADS = 256 };

template <typename A> struct pick_args {
    size_t T, cols;
    const int32_t *at;
    rows_of<A> x;
    A *y;
    struct sru_cuda_mask mask;
    bool scatter, add;
};

/* Where row i goes from and to, and which row of the mask it has. */
template <typename A> struct path {
    const A *from;
    A *to;
    size_t row;
};

template <typename A> __device__ static path<A> path_of(const pick_args<A> &s, size_t i)
{
    const size_t row = (size_t)s.at[i];
    A *outer = s.x.row(row, s.T, s.cols), *mine = s.y + i * s.cols;

    return { s.scatter ? mine : outer, s.scatter ? outer : mine, row };
}

template <typename A> __global__ static void move_groups(pick_args<A> s)
{
    const path<A> k = path_of(s, blockIdx.x);

    for (size_t g = threadIdx.x; g < s.cols / SRU_GROUP; g += blockDim.x) {
        float x[SRU_GROUP], old[SRU_GROUP];

        sru_read_group(k.from, g, s.cols, x);
        sru_mask_group(s.mask, k.row, g, s.cols, x);
        if (s.add) {
            sru_read_group<A>(k.to, g, s.cols, old);
            for (int i = 0; i < SRU_GROUP; i++)
                x[i] += old[i];
        }
        sru_write_group(k.to, g, s.cols, x);
    }
}

template <typename A> __global__ static void move_columns(pick_args<A> s)
{
    const path<A> k = path_of(s, blockIdx.x);

    for (size_t j = threadIdx.x; j < s.cols; j += blockDim.x) {
        const float x = sru_load(k.from + j) * sru_cuda_factor(s.mask, k.row, j, s.cols);

        sru_store(k.to + j, s.add ? sru_load(k.to + j) + x : x);
    }
}

template <typename A> static void move(struct sru_cuda *cuda, const struct sru_pick *s, bool scatter)
{
    const pick_args<A> k = { s->T, s->cols, s->at, s->x, (A *)s->y, sru_cuda_mask_of(&s->mask), scatter, scatter && s->add };
    const bool groups = s->cols % SRU_GROUP == 0 && sru_in_fours(k.x) && (uintptr_t)s->y % sizeof(sru_four<A>) == 0 && !k.mask.given;

    if (s->n == 0 || s->cols == 0)
        return;
    const unsigned threads = sru_threads_for(groups ? s->cols / SRU_GROUP : s->cols, THREADS);
    if (groups)
        move_groups<A><<<(unsigned)s->n, threads, 0, cuda->stream>>>(k);
    else
        move_columns<A><<<(unsigned)s->n, threads, 0, cuda->stream>>>(k);
    sru_cuda_launched(cuda, scatter ? "scatter" : "gather");
}

void sru_cuda_gather(struct sru_dev *dev, const struct sru_pick *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    SRU_BY_TYPE(cuda, move, cuda, s, false);
}

void sru_cuda_scatter(struct sru_dev *dev, const struct sru_pick *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    SRU_BY_TYPE(cuda, move, cuda, s, true);
}

__global__ static void add_some(size_t n, const int32_t *at, const float *x, float *y)
{
    const size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;

    if (i < n)
        y[at[i]] += x[i];
}

void sru_cuda_add_at(struct sru_dev *dev, size_t n, const int32_t *at, const float *x, float *y)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    if (n == 0)
        return;
    add_some<<<(unsigned)((n + THREADS - 1) / THREADS), THREADS, 0, cuda->stream>>>(n, at, x, y);
    sru_cuda_launched(cuda, "add_at");
}
