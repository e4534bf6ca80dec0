/*
 * The same numbers, bit for bit, whatever the number of threads: losses, gradients and weights of some steps of training.
 * Built twice: SRU_PLAIN_PRODUCTS leaves oneDNN out.
 */
#include "config.h"

#include <omp.h>
#include <string.h>

#include "src/model/lm.h"
#include "src/train/optimizer.h"
#include "tests/support.h"

enum { STEPS = 4, B = 3, T = 21, N = B * T };

static const struct sru_config sizes[] = {
    { .vocab = 23, .n_d = 40, .n_proj = 12, .depth = 3, .heads = 2, .attn_every_n_layers = 2, .attn_layer_norm = true,
      .highway_bias = -2, .dropout = 0.1, .attn_dropout = 0.1, .window = 9 },
    { .vocab = 205, .n_d = 256, .n_proj = 64, .depth = 2, .heads = 1, .attn_every_n_layers = 1, .attn_layer_norm = true,
      .highway_bias = -2, .dropout = 0.1, .attn_dropout = 0.1, .window = 9 },
};
enum { SIZES = sizeof sizes / sizeof *sizes };

struct outcome {
    float  nll[STEPS][N];
    float *g[STEPS], *w;   /* arenas */
};

static void train(struct sru_lm *lm, const int32_t *ids, struct outcome *o)
{
    const size_t n = lm->params.arena;
    float *m = zeros(lm->dev, n), *v = zeros(lm->dev, n);
    struct sru_optimizer adamw;
    struct sru_net net;

    ck_assert(sru_optimizer_parse("adamw", &adamw));
    ck_assert(!sru_net_open(&net, lm, B, T, T, true, false, NULL));
    sru_net_reset(&net);
    net.seed = 5;
    for (uint64_t step = 0; step < STEPS; step++) {
        ck_assert(!sru_net_train(&net, ids, ids + 1, 1.0f / N, o->nll[step], NULL));
        o->g[step] = malloc(n * sizeof(float));
        lm->dev->ops->get(lm->dev, o->g[step], lm->g, n * sizeof(float));
        const struct sru_now now = { step_to_device(lm->dev, sru_optimizer_at(&adamw, step + 1, 5e-3, 0)), gauge_to_device(lm->dev, 1) };
        sru_optimizer_update(&adamw, lm->dev, now, n, lm->w, lm->g, m, v);
        lm->prepared = false;
    }
    o->w = malloc(n * sizeof(float));
    lm->dev->ops->get(lm->dev, o->w, lm->w, n * sizeof(float));
    sru_net_close(&net);
}

/* With a device opened for so many threads, and so many set later.  false where the device does not run here. */
static bool with_threads(int threads, int later, int device, const struct sru_config *c, struct outcome *o)
{
    const float alpha = 0.7f;
    struct sru_dev *dev;
    struct sru_lm lm;

    omp_set_num_threads(threads);
    if (!(dev = open_device(device)))
        return false;
    ck_assert_int_eq(dev->threads, threads);
    omp_set_num_threads(later);
    ck_assert(!sru_lm_open(&lm, c, dev, SRU_USE_TRAIN, NULL) && !sru_lm_init(&lm, 3, NULL));
    for (size_t i = 0; i < c->depth; i++)
        if (lm.params.layers[i].attends)
            dev->ops->put(dev, lm.w + lm.params.layers[i].alpha, &alpha, sizeof alpha);
    train(&lm, random_tokens(N + 1, c->vocab, 9), o);
    sru_lm_close(&lm);
    close_kernels(dev);
    return true;
}

/* The first that differs is what a fault is found by: losses, then gradients from the last layer's on. */
static void assert_same(const struct sru_config *c, const struct outcome *a, const struct outcome *b, int threads)
{
    struct sru_params p;

    ck_assert(!sru_params_open(&p, c, NULL));
    for (int step = 0; step < STEPS; step++) {
        ck_assert_msg(memcmp(a->nll[step], b->nll[step], sizeof a->nll[step]) == 0, "%d threads: the losses of step %d differ",
                      threads, step);
        for (size_t i = p.n_tensors; i-- > 0;) {
            const struct sru_tensor *t = &p.tensors[i];

            ck_assert_msg(memcmp(a->g[step] + t->offset, b->g[step] + t->offset, t->count * sizeof(float)) == 0,
                          "%d threads: the gradient of %s in step %d differs", threads, t->name, step);
        }
    }
    ck_assert_msg(memcmp(a->w, b->w, p.arena * sizeof(float)) == 0, "%d threads: weights differ", threads);
    sru_params_close(&p);
}

static void free_outcome(struct outcome *o)
{
    for (int step = 0; step < STEPS; step++)
        free(o->g[step]);
    free(o->w);
}

START_TEST(threads_do_not_matter)
{
    const struct sru_config *c = &sizes[_i % SIZES];
    static const int threads[][2] = { { 2, 2 }, { 3, 3 }, { 2, 5 } };
    static struct outcome one, more;

    if (!with_threads(1, 1, _i / SIZES, c, &one))
        return;
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        ck_assert(with_threads(threads[i][0], threads[i][1], _i / SIZES, c, &more));
        assert_same(c, &one, &more, threads[i][1]);
        free_outcome(&more);
    }
    free_outcome(&one);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("threads");
    TCase *t = tcase_create("threads");

    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, threads_do_not_matter, 0, SIZES * (int)n_cpu_devices);
    suite_add_tcase(s, t);
    return run_suite(s);
}
