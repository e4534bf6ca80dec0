/* The W3 product and the recurrence. */
#include "gpu/recur.cuh"

/* Kept: states in f32, then U [N,3d] (rows U0 | U1 | U2: one product with the three planes of W3). */
static size_t kept_states(const struct sru_dev *dev, const struct sru_recur *s)
{
    return sru_round_up(s->B * sru_cuda_segments(s->T, dev->act_bytes) * s->d, 16);
}

size_t sru_cuda_kept_recur(struct sru_dev *dev, const struct sru_recur *s)
{
    return kept_states(dev, s) * sizeof(float) + s->B * s->T * 3 * s->d * dev->act_bytes;
}

/* U where nothing is kept; or the streams' dv and dbias [B,4,d] and what adds them up. */
size_t sru_cuda_recur_work(const struct sru_cuda *cuda, const struct sru_shape *s)
{
    const size_t u = (s->B * s->T * 3 * s->d * cuda->dev.act_bytes + sizeof(float) - 1) / sizeof(float);
    const size_t back = 4 * s->B * s->d + sru_cuda_columns_work(s->B, 2 * s->d);

    return sru_max(u, s->train ? back : 0);
}

template <typename A> static sru_cuda_scan<A> args_of(const struct sru_recur *s, sru_act *u, float *sums)
{
    return sru_cuda_scan<A>{ s->B, s->T, s->d, s->scale, s->x, s->h, s->dh, s->dx, (A *)u, (float *)s->kept, s->v.w, s->bias.w, s->c0,
                         s->c1, sums, sru_cuda_mask_of(&s->mask) };
}

template <typename A> static void scan(struct sru_cuda *cuda, const sru_cuda_scan<A> &s, bool back)
{
    if (!sru_cuda_scan_staged(cuda, s, back))
        sru_cuda_scan_any(cuda, s, back);
}

/* The product with all rows at once, or stream by stream. */
static void product(struct sru_cuda *cuda, const struct sru_recur *s, sru_act *u)
{
    const struct sru_blocks k = sru_blocks_of(s->B, s->T, s->a.stride == s->T * s->p);

    for (size_t b = 0; b < k.n; b++)
        sru_cuda_forward(cuda, &s->w3, k.rows, sru_at(&cuda->dev, s->a.p, b * s->a.stride), sru_at(&cuda->dev, u, b * s->T * 3 * s->d));
}

template <typename A> static void recur(struct sru_cuda *cuda, const struct sru_recur *s)
{
    float *states = (float *)s->kept;
    sru_act *u = (sru_act *)(states ? states + kept_states(&cuda->dev, s) : cuda->work);

    if (s->B * s->T * s->d == 0)
        return;
    product(cuda, s, u);
    scan(cuda, args_of<A>(s, u, NULL), false);
}

void sru_cuda_recur(struct sru_dev *dev, const struct sru_recur *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    SRU_BY_TYPE(cuda, recur, cuda, s);
}

/* ---- Backward ------------------------------------------------------------------------------------- */

/* Gradients of the products: dW3 = dU^T a and da = dU W3. */
static void product_back(struct sru_cuda *cuda, const struct sru_recur *s, sru_act *du)
{
    const struct sru_blocks k = sru_blocks_of(s->B, s->T, s->a.stride == s->T * s->p && s->da.stride == s->T * s->p);

    for (size_t b = 0; b < k.n; b++) {
        const sru_act *rows_of_b = sru_at(&cuda->dev, du, b * s->T * 3 * s->d);

        sru_cuda_gradient(cuda, &s->w3, k.rows, sru_at(&cuda->dev, s->a.p, b * s->a.stride), rows_of_b, b > 0);
        sru_cuda_back(cuda, &s->w3, k.rows, rows_of_b, false, sru_at(&cuda->dev, s->da.p, b * s->da.stride));
    }
}

template <typename A> static void recur_back(struct sru_cuda *cuda, const struct sru_recur *s)
{
    const size_t B = s->B, d = s->d;
    float *sums = cuda->work, *room = sums + 4 * B * d;
    sru_act *u = (sru_act *)((float *)s->kept + kept_states(&cuda->dev, s));

    if (B * s->T * d == 0)
        return;
    scan(cuda, args_of<A>(s, u, sums), true);
    sru_cuda_columns(cuda, B, 2 * d, 4 * d, (const float *)sums, false, room, s->v.g);
    sru_cuda_columns(cuda, B, 2 * d, 4 * d, (const float *)sums + 2 * d, false, room, s->bias.g);
    product_back(cuda, s, u);
}

void sru_cuda_recur_back(struct sru_dev *dev, const struct sru_recur *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    SRU_BY_TYPE(cuda, recur_back, cuda, s);
}
