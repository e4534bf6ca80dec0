/* The model beyond the fixtures: decoding equals evaluating, cuts do not matter, files come back, plans tell the truth. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/model/decode.h"
#include "src/model/file.h"
#include "tests/support.h"

static const struct sru_config plain = { .vocab = 23, .n_d = 40, .n_proj = 12, .depth = 3, .heads = 1, .attn_every_n_layers = 1,
                                         .attn_layer_norm = true, .highway_bias = -2, .window = 9 };

/* Every option that decoding supports, alone. */
static struct sru_config variant(int i)
{
    struct sru_config c = plain;

    switch (i) {
    case 1: c.heads = 4; break;
    case 2: c.attn_every_n_layers = 2; break;
    case 3: c.attn_last_n_layers = 1; break;
    case 4: c.layer_norm = c.normalize_after = true; break;
    case 5: c.attn_layer_norm = false; break;
    case 6: c.rescale = true; break;
    case 7: c.window = 200; break;     /* never full */
    case 8: c.window = 1; break;
    case 9: c.n_d = 37, c.n_proj = 13; break;
    default: break;
    }
    return c;
}
enum { VARIANTS = 10, LENGTH = 60 };

/* A model whose alpha is not 0, so that attention matters. */
static void open_model(struct sru_lm *lm, const struct sru_config *c, struct sru_dev *dev)
{
    ck_assert(!sru_lm_open(lm, c, dev, false, NULL));
    ck_assert(!sru_lm_init(lm, 3, NULL));
    for (size_t i = 0; i < c->depth; i++)
        if (lm->params.layers[i].attends)
            lm->w[lm->params.layers[i].alpha] = 0.7f;   /* in no product: nothing to prepare anew */
}

static void evaluate(struct sru_lm *lm, size_t B, size_t T, const int32_t *ids, float *nll)
{
    struct sru_net net;
    int32_t *x = pooled(B * T * sizeof *x), *y = pooled(B * T * sizeof *y);
    float *part = pooled(B * T * sizeof *part);

    ck_assert(!sru_net_open(&net, lm, B, T, lm->config.window, false, false, NULL));
    sru_net_reset(&net);
    for (size_t at = 0; at < LENGTH; at += T) {
        const size_t t = at + T < LENGTH ? T : LENGTH - at;

        for (size_t b = 0; b < B; b++)
            for (size_t i = 0; i < t; i++) {
                x[b * t + i] = ids[b * (LENGTH + 1) + at + i];
                y[b * t + i] = ids[b * (LENGTH + 1) + at + i + 1];
            }
        ck_assert(!sru_net_read(&net, t, x, y, part, NULL));
        for (size_t b = 0; b < B; b++)
            memcpy(nll + b * LENGTH + at, part + b * t, t * sizeof *nll);
    }
    sru_net_close(&net);
}

static double log_sum_exp(const float *s, size_t n)
{
    double top = -INFINITY, sum = 0;

    for (size_t i = 0; i < n; i++)
        top = fmax(top, (double)s[i]);
    for (size_t i = 0; i < n; i++)
        sum += exp((double)s[i] - top);
    return top + log(sum);
}

START_TEST(decoding_is_evaluation)
{
    const struct sru_config c = variant(_i);
    const size_t B = 2, V = c.vocab;
    struct sru_dev *dev;
    struct sru_lm lm;
    struct sru_decoder d;
    int32_t *ids = random_tokens(B * (LENGTH + 1), V, 9), now[2];
    float *nll = pooled(B * LENGTH * sizeof *nll), *logits = pooled(B * V * sizeof *logits);
    double *expected = pooled(B * LENGTH * sizeof *expected);

    ck_assert(!sru_cpu_open(NULL, SRU_PRECISION_F32, &dev, NULL));
    open_model(&lm, &c, dev);
    evaluate(&lm, B, 7, ids, nll);
    ck_assert(!sru_decoder_open(&d, &lm, B, c.window, NULL));
    for (int again = 0; again < 2; again++) {   /* a reset leaves nothing of what was read */
        sru_decoder_reset(&d);
        for (size_t t = 0; t < LENGTH; t++) {
            for (size_t b = 0; b < B; b++)
                now[b] = ids[b * (LENGTH + 1) + t];
            ck_assert(!sru_decoder_read(&d, now, logits, NULL));
            for (size_t b = 0; b < B; b++)
                expected[b * LENGTH + t] = log_sum_exp(logits + b * V, V) - (double)logits[b * V + (size_t)ids[b * (LENGTH + 1) + t + 1]];
        }
        assert_near("nll", B * LENGTH, nll, expected, 1e-5);
    }
    sru_decoder_close(&d);
    sru_lm_close(&lm);
    close_kernels(dev);
}
END_TEST

/* Evaluation does not depend on how a text is cut into segments, nor a stream on its neighbours. */
START_TEST(cuts_do_not_matter)
{
    const struct sru_config c = variant(_i);
    struct sru_dev *dev;
    struct sru_lm lm;
    int32_t *ids = random_tokens(3 * (LENGTH + 1), c.vocab, 5);
    float *a = pooled(3 * LENGTH * sizeof *a), *b = pooled(LENGTH * sizeof *b);
    double expected[LENGTH];

    ck_assert(!sru_cpu_open(NULL, SRU_PRECISION_F32, &dev, NULL));
    open_model(&lm, &c, dev);
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
    struct sru_config c = plain;
    struct sru_dev *dev;
    struct sru_lm lm;
    struct sru_net net;
    enum { B = 2, T = 8 };
    int32_t *ids = random_tokens(B * T + 1, c.vocab, 2);
    float nll[3][B * T];

    c.dropout = 0.5, c.attn_dropout = 0.5;
    ck_assert(!sru_cpu_open(NULL, SRU_PRECISION_F32, &dev, NULL));
    ck_assert(!sru_lm_open(&lm, &c, dev, true, NULL) && !sru_lm_init(&lm, 1, NULL));
    ck_assert(!sru_net_open(&net, &lm, B, T, T, true, false, NULL));
    for (int i = 0; i < 3; i++) {
        sru_net_reset(&net);
        net.seed = 77;
        net.step = i == 2;
        ck_assert(!sru_net_train(&net, ids, ids + 1, 1, nll[i], NULL));
    }
    ck_assert_mem_eq(nll[0], nll[1], sizeof nll[0]);
    ck_assert_mem_ne(nll[0], nll[2], sizeof nll[0]);
    sru_net_close(&net);
    sru_lm_close(&lm);
    close_kernels(dev);
}
END_TEST

/* A vocabulary so large that the logits go by blocks of rows gives the same as rows by themselves. */
START_TEST(logits_by_blocks)
{
    struct sru_config c = plain;
    struct sru_dev *dev;
    struct sru_lm lm;
    float a[2 * LENGTH], b[LENGTH];
    double expected[LENGTH];

    c.vocab = 70001, c.n_d = 8, c.n_proj = 4;
    int32_t *ids = random_tokens(2 * (LENGTH + 1), c.vocab, 2);
    ck_assert(!sru_cpu_open(NULL, SRU_PRECISION_F32, &dev, NULL));
    open_model(&lm, &c, dev);
    evaluate(&lm, 2, LENGTH, ids, a);   /* 120 rows, 64 at a time */
    evaluate(&lm, 1, 1, ids + LENGTH + 1, b);
    for (int i = 0; i < LENGTH; i++)
        expected[i] = (double)a[LENGTH + i];
    assert_near("by single rows", LENGTH, b, expected, 1e-6);
    sru_lm_close(&lm);
    close_kernels(dev);
}
END_TEST

START_TEST(files_come_back)
{
    char path[] = "/tmp/check_model.XXXXXX";
    char letters[] = "abcdefghijklmnopqrstuvw";
    const struct sru_text text = { letters, 23 };
    const struct sru_vocab v = sru_vocab_of(&text, 1);
    struct sru_model_file f;
    struct sru_lm a, b;
    struct sru_dev *dev;
    struct sru_error err;

    close(mkstemp(path));
    ck_assert(!sru_cpu_open(NULL, SRU_PRECISION_F32, &dev, NULL));
    open_model(&a, &plain, dev);
    ck_assert(!sru_model_save(path, &a, &v, NULL, NULL, 0, NULL));
    ck_assert_msg(!sru_model_file_open(&f, path, &err), "%s", err.message);
    ck_assert(f.config.n_d == 40 && f.config.window == 9 && f.vocab.size == 23 && !f.training);
    ck_assert(!sru_lm_open(&b, &f.config, dev, false, NULL) && !sru_model_file_weights(&f, &b, NULL));
    ck_assert_mem_eq(a.w, b.w, a.params.arena * sizeof(float));
    sru_model_file_close(&f);
    ck_assert_int_eq(truncate(path, 5000), 0);
    ck_assert_int_eq(sru_model_file_open(&f, path, &err), SRU_EFORMAT);
    sru_lm_close(&a), sru_lm_close(&b);
    close_kernels(dev);
    unlink(path);
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
    struct sru_config c = plain;
    struct sru_dev *dev;
    struct sru_lm lm;
    struct sru_net net;
    struct sru_decoder d;
    struct sru_error err;

    ck_assert(!sru_cpu_open(NULL, SRU_PRECISION_F32, &dev, NULL));
    open_model(&lm, &c, dev);
    ck_assert_int_eq(sru_net_plan(&net, &lm, SIZE_MAX / 2, 3, 3, true, false, &err), SRU_EINVAL);
    ck_assert_int_eq(sru_net_plan(&net, &lm, 1, SIZE_MAX / 2, SIZE_MAX / 2, false, false, &err), SRU_EINVAL);
    ck_assert_int_eq(sru_decoder_open(&d, &lm, 1, SIZE_MAX - 1, &err), SRU_EINVAL);
    ck_assert(!sru_net_plan(&net, &lm, 4, 16, 16, true, false, &err));
    ck_assert(sru_net_bytes(&net) > 4 * 16 * 40 * 4 * 10 && sru_net_bytes(&net) < 10 << 20);
    sru_net_close(&net);
    sru_lm_close(&lm);
    c.n_d = c.n_proj = (size_t)1 << 30;
    ck_assert_int_ne(sru_lm_open(&lm, &c, dev, true, &err), SRU_OK);
    close_kernels(dev);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("model");
    TCase *t = tcase_create("model");

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, decoding_is_evaluation, 0, VARIANTS);
    tcase_add_loop_test(t, cuts_do_not_matter, 0, VARIANTS);
    tcase_add_test(t, dropout_is_keyed);
    tcase_add_test(t, logits_by_blocks);
    tcase_add_test(t, files_come_back);
    tcase_add_test(t, boasting_file);
    tcase_add_test(t, absurd_sizes_are_refused);
    suite_add_tcase(s, t);
    return run_suite(s);
}
