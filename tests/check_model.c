/* The model beyond the fixtures: cuts do not matter, files come back, plans tell the truth.  Decoding is check_decode's. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/model/decode.h"
#include "src/model/file.h"
#include "tests/models.h"

/* Evaluation does not depend on how a text is cut into segments, nor a stream on its neighbours. */
START_TEST(cuts_do_not_matter)
{
    const struct sru_config c = model_variant(_i);
    struct sru_dev *dev;
    struct sru_lm lm;
    int32_t *ids = random_tokens(3 * (LENGTH + 1), c.vocab, 5);
    float *a = pooled(3 * LENGTH * sizeof *a), *b = pooled(LENGTH * sizeof *b);
    double expected[LENGTH];

    ck_assert(!sru_cpu_open(NULL, SRU_PRECISION_F32, &dev, NULL));
    open_model(&lm, &c, dev, SRU_USE_READ);
    evaluate(&lm, 3, 9, ids, a);
    for (int i = 0; i < LENGTH; i++)
        expected[i] = (double)a[2 * LENGTH + i];
    evaluate(&lm, 1, 5, ids + 2 * (LENGTH + 1), b);
    assert_near("another cut", LENGTH, b, expected, 1e-5);
    evaluate(&lm, 1, LENGTH, ids + 2 * (LENGTH + 1), b);
    assert_near("no cut", LENGTH, b, expected, 1e-5);
    sru_lm_close(&lm);
    close_kernels(dev);
}
END_TEST

/* With masks drawn from a key a step is the same every time, another one differs, and the mean stays. */
START_TEST(dropout_is_keyed)
{
    struct sru_config c = plain_model;
    struct sru_dev *dev;
    struct sru_lm lm;
    struct sru_net net;
    enum { B = 2, T = 8 };
    int32_t *ids = random_tokens(B * T + 1, c.vocab, 2);
    float nll[3][B * T];

    c.dropout = 0.5, c.attn_dropout = 0.5;
    ck_assert(!sru_cpu_open(NULL, SRU_PRECISION_F32, &dev, NULL));
    ck_assert(!sru_lm_open(&lm, &c, dev, SRU_USE_TRAIN, NULL) && !sru_lm_init(&lm, 1, NULL));
    ck_assert(!sru_net_open(&net, &lm, B, T, T, true, false, NULL));
    for (int i = 0; i < 3; i++) {
        sru_net_reset(&net);
        net.seed = 77;
        dev->ops->put(dev, net.step, &(struct sru_step){ .count = i == 2 }, sizeof *net.step);
        ck_assert(!sru_net_train(&net, ids, ids + 1, 1, nll[i], NULL));
    }
    ck_assert_mem_eq(nll[0], nll[1], sizeof nll[0]);
    ck_assert_mem_ne(nll[0], nll[2], sizeof nll[0]);
    sru_net_close(&net);
    sru_lm_close(&lm);
    close_kernels(dev);
}
END_TEST

/* ---- Clusters -------------------------------------------------------------------------------------- */

enum { WORDS_B = 3, WORDS_T = 11, WORDS_N = WORDS_B * WORDS_T };

static double loss_of(struct sru_net *net, const int32_t *ids)
{
    float nll[WORDS_N];
    double sum = 0;

    net->lm->prepared = false;
    sru_net_reset(net);
    ck_assert(!sru_net_train(net, ids, ids + WORDS_N, 1, nll, NULL));
    for (int i = 0; i < WORDS_N; i++)
        sum += (double)nll[i];
    return sum;
}

static struct sru_config word_model(bool tied, size_t e)
{
    struct sru_config c = plain_model;

    c.n_e = e, c.div_val = 2, c.n_cutoffs = 3, c.cutoffs[0] = 6, c.cutoffs[1] = 7, c.cutoffs[2] = 15;
    c.tie_projs = tied;
    return c;
}

/* The gradient along some direction is what the loss does there: all dropouts on, and clusters of no token or target. */
static void check_words(bool tied, size_t e, size_t below)
{
    struct sru_config c = word_model(tied, e);
    int32_t *ids = random_tokens(2 * WORDS_N, below, 2);
    struct sru_dev *dev;
    struct sru_lm lm;
    struct sru_net net;
    double along = 0;

    c.emb_dropout = c.dropout = c.attn_dropout = 0.3;
    ck_assert(!sru_config_check(&c, NULL) && !sru_cpu_open(NULL, SRU_PRECISION_F32, &dev, NULL));
    open_model(&lm, &c, dev, SRU_USE_TRAIN);
    ck_assert(!sru_net_open(&net, &lm, WORDS_B, WORDS_T, WORDS_T, true, false, NULL));
    const size_t n = lm.params.arena;
    const double *direction = random_array(n, 1, 7);
    float *w = pooled(n * sizeof *w);
    double loss[2];

    memcpy(w, lm.w, n * sizeof *w);
    loss_of(&net, ids);
    for (size_t i = 0; i < n; i++)
        lm.g[i] = NAN;   /* all of it is replaced */
    loss_of(&net, ids);
    for (size_t i = 0; i < lm.params.n_tensors; i++)
        for (size_t j = 0; j < lm.params.tensors[i].count; j++)
            along += direction[lm.params.tensors[i].offset + j] * (double)lm.g[lm.params.tensors[i].offset + j];
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < n; i++)
            lm.w[i] = w[i] + (side ? -1e-4f : 1e-4f) * (float)direction[i];
        loss[side] = loss_of(&net, ids);
    }
    ck_assert_double_eq_tol((loss[0] - loss[1]) / 2e-4, along, 0.002 * fabs(along) + 0.02);
    sru_net_close(&net);
    sru_lm_close(&lm);
    close_kernels(dev);
}

START_TEST(bad_clusters_are_refused)
{
    const struct sru_config good = word_model(true, 16);
    struct sru_config c[6] = { good, good, good, good, good, good };
    struct sru_error err;

    c[0].cutoffs[2] = 7, c[1].cutoffs[2] = 23, c[2].n_e = 7, c[3].div_val = 0, c[4].emb_dropout = 1, c[5].n_cutoffs = 0;
    ck_assert(!sru_config_check(&good, NULL));
    for (int i = 0; i < 6; i++)
        ck_assert_msg(sru_config_check(&c[i], &err) == SRU_EINVAL, "%d", i);
}
END_TEST

START_TEST(words_have_gradients)
{
    for (int tied = 0; tied < 2; tied++) {
        check_words(tied, 16, 23);
        check_words(tied, 9, 23);
        check_words(tied, 64, 23);   /* wider than the model */
        check_words(tied, 16, 7);    /* nothing in the last two clusters */
        check_words(tied, 16, 1);
    }
}
END_TEST

/* A vocabulary so large that the logits go by blocks of rows gives the same as rows by themselves. */
START_TEST(logits_by_blocks)
{
    struct sru_config c = plain_model;
    struct sru_dev *dev;
    struct sru_lm lm;
    float a[2 * LENGTH], b[LENGTH];
    double expected[LENGTH];

    c.vocab = 70001, c.n_d = 8, c.n_proj = 4;
    int32_t *ids = random_tokens(2 * (LENGTH + 1), c.vocab, 2);
    ck_assert(!sru_cpu_open(NULL, SRU_PRECISION_F32, &dev, NULL));
    open_model(&lm, &c, dev, SRU_USE_READ);
    evaluate(&lm, 2, LENGTH, ids, a);   /* 120 rows, 64 at a time */
    evaluate(&lm, 1, 1, ids + LENGTH + 1, b);
    for (int i = 0; i < LENGTH; i++)
        expected[i] = (double)a[LENGTH + i];
    assert_near("by single rows", LENGTH, b, expected, 1e-6);
    sru_lm_close(&lm);
    close_kernels(dev);
}
END_TEST

static void come_back(const struct sru_config *c)
{
    char path[] = "/tmp/check_model.XXXXXX";
    const struct sru_vocab v = vocab_of("abcdefghijklmnopqrstuvw", 23);
    struct sru_model_file f;
    struct sru_lm a, b;
    struct sru_dev *dev;
    struct sru_error err;

    close(mkstemp(path));
    ck_assert(!sru_cpu_open(NULL, SRU_PRECISION_F32, &dev, NULL));
    open_model(&a, c, dev, SRU_USE_READ);
    ck_assert(!sru_model_save(path, &a, &v, NULL, NULL, 0, NULL));
    ck_assert_msg(!sru_model_file_open(&f, path, &err), "%s", err.message);
    ck_assert_mem_eq(&f.config, c, sizeof *c);
    ck_assert(f.vocab.size == 23 && !f.training);
    ck_assert(!sru_lm_open(&b, &f.config, dev, SRU_USE_READ, NULL) && !sru_model_file_weights(&f, &b, NULL));
    ck_assert_mem_eq(a.w, b.w, a.params.arena * sizeof(float));
    sru_model_file_close(&f);
    ck_assert_int_eq(truncate(path, 5000), 0);
    ck_assert_int_eq(sru_model_file_open(&f, path, &err), SRU_EFORMAT);
    sru_lm_close(&a), sru_lm_close(&b);
    close_kernels(dev);
    unlink(path);
}

START_TEST(files_come_back)
{
    const struct sru_config tied = word_model(true, 16), untied = word_model(false, 9);

    come_back(&plain_model);
    come_back(&tied);
    come_back(&untied);
}
END_TEST

/* A small file that describes a model of terabytes is refused before memory is asked for. */
START_TEST(boasting_file)
{
    char path[] = "/tmp/check_model.XXXXXX";
    json_t *meta = json_pack("{s:s, s:s}", "vocab", "[1]", "config",
                             "{\"vocab\":1,\"n_d\":1073741824,\"n_proj\":1073741824,\"depth\":10000,\"heads\":1,"
                             "\"attn_every_n_layers\":1,\"attn_last_n_layers\":0,\"layer_norm\":false,\"normalize_after\":false,"
                             "\"attn_layer_norm\":true,\"rescale\":false,\"highway_bias\":-2,\"dropout\":0,\"attn_dropout\":0,\"window\":1}");
    struct sru_model_file f;
    struct sru_error err;

    close(mkstemp(path));
    ck_assert(!sru_st_write(path, meta, NULL, 0, NULL));
    ck_assert_int_eq(sru_model_file_open(&f, path, &err), SRU_EFORMAT);
    json_object_set_new(meta, "vocab", json_string("[2,1]"));
    ck_assert(!sru_st_write(path, meta, NULL, 0, NULL));
    ck_assert_int_eq(sru_model_file_open(&f, path, &err), SRU_EFORMAT);
    json_object_del(meta, "config");
    ck_assert(!sru_st_write(path, meta, NULL, 0, NULL));
    ck_assert_int_eq(sru_model_file_open(&f, path, &err), SRU_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.message, "not a model of sru-lm"));
    json_decref(meta);
    unlink(path);
}
END_TEST

START_TEST(absurd_sizes_are_refused)
{
    struct sru_config c = plain_model;
    struct sru_dev *dev;
    struct sru_lm lm;
    struct sru_net net;
    struct sru_decoder d;
    struct sru_error err;

    ck_assert(!sru_cpu_open(NULL, SRU_PRECISION_F32, &dev, NULL));
    open_model(&lm, &c, dev, SRU_USE_READ);
    ck_assert_int_eq(sru_net_plan(&net, &lm, SIZE_MAX / 2, 3, 3, true, false, &err), SRU_EINVAL);
    ck_assert_int_eq(sru_net_plan(&net, &lm, 1, SIZE_MAX / 2, SIZE_MAX / 2, false, false, &err), SRU_EINVAL);
    ck_assert_int_eq(sru_decoder_open(&d, &lm, 1, SIZE_MAX - 1, &err), SRU_EINVAL);
    ck_assert(!sru_net_plan(&net, &lm, 4, 16, 16, true, false, &err));
    ck_assert(sru_net_bytes(&net) > 4 * 16 * 40 * 4 * 10 && sru_net_bytes(&net) < 10 << 20);
    sru_net_close(&net);
    sru_lm_close(&lm);
    c.n_d = c.n_proj = (size_t)1 << 30;
    ck_assert_int_ne(sru_lm_open(&lm, &c, dev, SRU_USE_TRAIN, &err), SRU_OK);
    close_kernels(dev);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("model");
    TCase *t = tcase_create("model");

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, cuts_do_not_matter, 0, VARIANTS);
    tcase_add_test(t, dropout_is_keyed);
    tcase_add_test(t, bad_clusters_are_refused);
    tcase_add_test(t, words_have_gradients);
    tcase_add_test(t, logits_by_blocks);
    tcase_add_test(t, files_come_back);
    tcase_add_test(t, boasting_file);
    tcase_add_test(t, absurd_sizes_are_refused);
    suite_add_tcase(s, t);
    return run_suite(s);
}
