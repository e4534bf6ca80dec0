/*
 * Attention's kernels: a block a row of scores.  Where the keys are in eights a thread holds what it reads in registers, eight keys
 * to a block of random words; another kernel takes the rest, a key at a time.
 */
#include <math.h>

#include "gpu/attend.cuh"
#include "gpu/groups.cuh"

typedef struct sru_cuda_part part;

/* The part's row i, and the keys [from,to), from key 0 of the memory on, that its query sees. */
struct place {
    size_t whole, from, to;     /* whole: its row among those of all streams and heads */
};

__device__ static struct place place_of(const part &k, size_t i)
{
    const size_t t = i % k.T, at = k.M + t;
    const size_t from = k.window > 0 && at > k.window && at - k.window > k.first ? at - k.window : k.first;

    return { ((k.b0 + i / k.T) * k.H + k.h) * k.T + t, from, at + 1 };
}

/* Where halves change places, which they do the same way back. */
__device__ static size_t in_other_half(const part &k, size_t i)
{
    return i < k.T ? i + k.T : i - k.T;
}

/* The key that place j of a row of scores has, and back. */
__device__ static size_t key_at(const part &k, size_t j)
{
    return k.turned ? in_other_half(k, j) : k.lo + j;
}

__device__ static size_t place_of_key(const part &k, size_t key)
{
    return k.turned ? in_other_half(k, key) : key - k.lo;
}

__device__ static bool sees(const struct place &at, size_t key)
{
    return key >= at.from && key < at.to;
}

/* ---- Keys in eights ------------------------------------------------------------------------------- */

/* Group g of a row is that of its mask (gpu/groups.cuh).  A thread has `each` groups. */
enum { GROUP = SRU_GROUP, MOST_THREADS = 256, MOST_EACH = 4 };

struct group {
    size_t key[2];              /* the first of either four */
    size_t at[2];               /* its place in a row of scores */
    bool   held[2];             /* not before lo, where scores begin */
};

__device__ static struct group group_at(const part &k, size_t g)
{
    const size_t low = 4 * g, high = (k.M + k.T) / 2 + 4 * g;

    return { { low, high }, { place_of_key(k, low), place_of_key(k, high) }, { low >= k.lo, high >= k.lo } };
}

/* The scores of a group; `none` where the query does not see the key. */
__device__ static void read_group(const part &k, const struct place &at, const struct group &g, const float *s, float none, float x[GROUP])
{
    for (int i = 0; i < 2; i++) {
        const bool any = g.held[i] && g.key[i] < at.to && g.key[i] + 4 > at.from;
        const float4 four = any ? *(const float4 *)(s + g.at[i]) : make_float4(none, none, none, none);
        const float all[4] = { four.x, four.y, four.z, four.w };

        for (int j = 0; j < 4; j++)
            x[4 * i + j] = sees(at, g.key[i] + j) ? all[j] : none;
    }
}

template <typename A> __device__ static void write_group(const part &k, const struct group &g, const float x[GROUP], A *p)
{
    for (int i = 0; i < 2; i++)
        if (g.held[i])
            sru_write_four(p + g.at[i], x + 4 * i);
}

/* The factors of group g of a row. */
__device__ static void mask_group(const part &k, const struct sru_cuda_mask &m, size_t row, size_t g, const struct group &keys,
                                  float f[GROUP])
{
    if (m.given || !m.on) {
        for (int i = 0; i < GROUP; i++)
            f[i] = sru_cuda_factor(m, row, keys.key[i / 4] + i % 4, k.M + k.T);
        return;
    }
    uint32_t words[4];

    sru_group_words(m, row, g, k.M + k.T, words);
    for (int i = 0; i < GROUP; i++)
        f[i] = sru_group_factor(m, words, i);
}

/* P = mask * softmax: unseen keys are exactly 0, whatever the row's sum. */
template <typename A, int each> __global__ static void softmax_groups(part k, struct sru_cuda_mask mask, const float *S, A *P, float *lse)
{
    const struct place at = place_of(k, blockIdx.x);
    const size_t groups = (k.M + k.T) / GROUP;
    const float *s = S + blockIdx.x * k.length;
    float x[each][GROUP], top = -INFINITY, sum = 0.0f;

#pragma unroll
    for (int e = 0; e < each; e++) {
        const size_t g = threadIdx.x + e * blockDim.x;
        if (g >= groups)
            break;
        read_group(k, at, group_at(k, g), s, -INFINITY, x[e]);
        for (int i = 0; i < GROUP; i++)
            top = sru_larger(top, x[e][i]);
    }
    top = sru_block_max(top);
#pragma unroll
    for (int e = 0; e < each; e++)
        for (int i = 0; i < GROUP && threadIdx.x + e * blockDim.x < groups; i++)
            sum += x[e][i] = x[e][i] == -INFINITY ? 0.0f : expf((x[e][i] - top) * k.factor);
    sum = sru_block_sum(sum);

    const float inverse = 1.0f / sum;
#pragma unroll
    for (int e = 0; e < each; e++) {
        const size_t g = threadIdx.x + e * blockDim.x;
        if (g >= groups)
            break;
        const struct group keys = group_at(k, g);
        float f[GROUP];

        mask_group(k, mask, at.whole, g, keys, f);
        for (int i = 0; i < GROUP; i++) {
            const size_t j = keys.key[i / 4] + i % 4;
            x[e][i] = sees(at, j) ? x[e][i] * inverse * f[i] : 0.0f;
        }
        write_group(k, keys, x[e], P + blockIdx.x * k.length);
    }
    if (lse && threadIdx.x == 0)
        lse[at.whole] = top * k.factor + logf(sum);
}

/* P again, and dS = factor softmax (mask dP - their sum). */
template <typename A, int each> __global__ static void back_groups(part k, struct sru_cuda_mask mask, const float *lse, const float *S,
                                                                   const float *dP, A *P, A *dS)
{
    const struct place at = place_of(k, blockIdx.x);
    const size_t groups = (k.M + k.T) / GROUP;
    const float log_sum = lse[at.whole];
    float x[each][GROUP], dx[each][GROUP], sum = 0.0f;

#pragma unroll
    for (int e = 0; e < each; e++) {
        const size_t g = threadIdx.x + e * blockDim.x;
        if (g >= groups)
            break;
        const struct group keys = group_at(k, g);
        float f[GROUP], out[GROUP];

        read_group(k, at, keys, S + blockIdx.x * k.length, -INFINITY, x[e]);
        read_group(k, at, keys, dP + blockIdx.x * k.length, 0.0f, dx[e]);
        mask_group(k, mask, at.whole, g, keys, f);
        for (int i = 0; i < GROUP; i++) {
            const size_t j = keys.key[i / 4] + i % 4;
            const bool seen = sees(at, j);

            x[e][i] = seen ? expf(x[e][i] * k.factor - log_sum) : 0.0f;
            out[i] = seen ? f[i] * x[e][i] : 0.0f;
            dx[e][i] *= f[i];
            sum += x[e][i] * dx[e][i];
        }
        write_group(k, keys, out, P + blockIdx.x * k.length);
    }
    sum = sru_block_sum(sum);
#pragma unroll
    for (int e = 0; e < each; e++) {
        const size_t g = threadIdx.x + e * blockDim.x;
        if (g >= groups)
            break;
        const struct group keys = group_at(k, g);

        for (int i = 0; i < GROUP; i++) {
            const size_t j = keys.key[i / 4] + i % 4;
            x[e][i] = sees(at, j) ? x[e][i] * k.factor * (dx[e][i] - sum) : 0.0f;
        }
        write_group(k, keys, x[e], dS + blockIdx.x * k.length);
    }
}

/* Groups of a thread, 1, 2 or 4; 0 where rows are not in eights, or too long. */
static int each_of(const part *k)
{
    const size_t keys = k->M + k->T, each = (keys / GROUP + MOST_THREADS - 1) / MOST_THREADS;

    if (keys % GROUP != 0 || k->lo % 4 != 0 || each > MOST_EACH)
        return 0;
    return each > 2 ? 4 : (int)each;
}

/* ---- A key at a time --------------------------------------------------------------------------------- */

/* P = mask * softmax, 0 where nothing is seen; lse may be NULL. */
template <typename A> __global__ static void softmax_keys(part k, struct sru_cuda_mask mask, const float *S, A *P, float *lse)
{
    const struct place at = place_of(k, blockIdx.x);
    const float *s = S + blockIdx.x * k.length;
    A *p = P + blockIdx.x * k.length;
    float top = -INFINITY, sum = 0.0f;

    for (size_t key = at.from + threadIdx.x; key < at.to; key += blockDim.x)
        top = sru_larger(top, s[place_of_key(k, key)]);
    top = sru_block_max(top);
    for (size_t key = at.from + threadIdx.x; key < at.to; key += blockDim.x)
        sum += expf((s[place_of_key(k, key)] - top) * k.factor);
    sum = sru_block_sum(sum);

    const float inverse = 1.0f / sum;
    for (size_t j = threadIdx.x; j < k.keys; j += blockDim.x) {
        const size_t key = key_at(k, j);
        float x = 0.0f;

        if (sees(at, key))
            x = expf((s[j] - top) * k.factor) * inverse * sru_cuda_factor(mask, at.whole, key, k.M + k.T);
        sru_store(p + j, x);
    }
    if (lse && threadIdx.x == 0)
        lse[at.whole] = top * k.factor + logf(sum);
}

/* P = mask * softmax again, and dS; S and dP become the softmax and mask * dP. */
template <typename A> __global__ static void back_keys(part k, struct sru_cuda_mask mask, const float *lse, float *S, float *dP,
                                                  A *P, A *dS)
{
    const struct place at = place_of(k, blockIdx.x);
    float *s = S + blockIdx.x * k.length, *dp = dP + blockIdx.x * k.length;
    A *p = P + blockIdx.x * k.length, *ds = dS + blockIdx.x * k.length;
    const float log_sum = lse[at.whole];
    float sum = 0.0f;

    for (size_t j = threadIdx.x; j < k.keys; j += blockDim.x) {
        const size_t key = key_at(k, j);

        if (!sees(at, key)) {
            sru_store(p + j, 0.0f);
            continue;
        }
        const float x = expf(s[j] * k.factor - log_sum), m = sru_cuda_factor(mask, at.whole, key, k.M + k.T), g = m * dp[j];

        sru_store(p + j, m * x);
        s[j] = x;
        dp[j] = g;
        sum += x * g;
    }
    sum = sru_block_sum(sum);
    for (size_t j = threadIdx.x; j < k.keys; j += blockDim.x)
        sru_store(ds + j, sees(at, key_at(k, j)) ? s[j] * k.factor * (dp[j] - sum) : 0.0f);
}

/* ---- Launching --------------------------------------------------------------------------------------- */

static unsigned threads_of(const part *k, int each)
{
    const size_t groups = (k->M + k->T) / GROUP, work = each ? (groups + each - 1) / each : k->keys;

    return (unsigned)sru_min(MOST_THREADS, sru_round_up(work, 32));
}

template <typename A> static void softmax(struct sru_cuda *cuda, const part *k, const struct sru_mask *m, const float *S, sru_act *P,
                                          float *lse)
{
    const struct sru_cuda_mask mask = sru_cuda_mask_of(m);
    const int each = each_of(k);
    const unsigned blocks = (unsigned)(k->n * k->T), threads = threads_of(k, each);

    if (each == 1)
        softmax_groups<A, 1><<<blocks, threads, 0, cuda->stream>>>(*k, mask, S, (A *)P, lse);
    else if (each == 2)
        softmax_groups<A, 2><<<blocks, threads, 0, cuda->stream>>>(*k, mask, S, (A *)P, lse);
    else if (each == 4)
        softmax_groups<A, 4><<<blocks, threads, 0, cuda->stream>>>(*k, mask, S, (A *)P, lse);
    else
        softmax_keys<A><<<blocks, threads, 0, cuda->stream>>>(*k, mask, S, (A *)P, lse);
    sru_cuda_launched(cuda, "attend");
}

void sru_cuda_softmax(struct sru_cuda *cuda, const part *k, const struct sru_mask *m, const float *S, sru_act *P, float *lse)
{
    SRU_BY_TYPE(cuda, softmax, cuda, k, m, S, P, lse);
}

template <typename A> static void softmax_back(struct sru_cuda *cuda, const part *k, const struct sru_mask *m, const float *lse, float *S,
                                               float *dP, sru_act *P, sru_act *dS)
{
    const struct sru_cuda_mask mask = sru_cuda_mask_of(m);
    const int each = each_of(k);
    const unsigned blocks = (unsigned)(k->n * k->T), threads = threads_of(k, each);

    if (each == 1)
        back_groups<A, 1><<<blocks, threads, 0, cuda->stream>>>(*k, mask, lse, S, dP, (A *)P, (A *)dS);
    else if (each == 2)
        back_groups<A, 2><<<blocks, threads, 0, cuda->stream>>>(*k, mask, lse, S, dP, (A *)P, (A *)dS);
    else if (each == 4)
        back_groups<A, 4><<<blocks, threads, 0, cuda->stream>>>(*k, mask, lse, S, dP, (A *)P, (A *)dS);
    else
        back_keys<A><<<blocks, threads, 0, cuda->stream>>>(*k, mask, lse, S, dP, (A *)P, (A *)dS);
    sru_cuda_launched(cuda, "attend_back");
}

void sru_cuda_softmax_back(struct sru_cuda *cuda, const part *k, const struct sru_mask *m, const float *lse, float *S, float *dP,
                           sru_act *P, sru_act *dS)
{
    SRU_BY_TYPE(cuda, softmax_back, cuda, k, m, lse, S, dP, P, dS);
}
