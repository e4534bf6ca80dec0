/* Reading a position at a time: what evaluation gives, whatever the operands, and in 8 bits what rounded weights give. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "src/model/decode.h"
#include "tests/models.h"

static double log_sum_exp(const float *s, size_t n)
{
    double top = -INFINITY, sum = 0;

    for (size_t i = 0; i < n; i++)
        top = fmax(top, (double)s[i]);
    for (size_t i = 0; i < n; i++)
        sum += exp((double)s[i] - top);
    return top + log(sum);
}

/* Losses [B,LENGTH], a position at a time. */
static void decode(struct sru_decoder *d, const int32_t *ids, float *nll)
{
    const size_t B = d->B, V = d->lm->config.vocab;
    int32_t *now = pooled(B * sizeof *now);
    float *logits = pooled(B * V * sizeof *logits);

    sru_decoder_reset(d);
    for (size_t t = 0; t < LENGTH; t++) {
        for (size_t b = 0; b < B; b++)
            now[b] = ids[b * (LENGTH + 1) + t];
        ck_assert(!sru_decoder_read(d, now, logits, NULL));
        for (size_t b = 0; b < B; b++)
            nll[b * LENGTH + t] = (float)(log_sum_exp(logits + b * V, V) - (double)logits[b * V + (size_t)ids[b * (LENGTH + 1) + t + 1]]);
    }
}

/*
 * Reading a position at a time, with operands for it or without, gives what evaluation gives on the same device, which is closed; int8
 * what it gives of rounded weights.
 */
static void compare(const struct sru_config *c, struct sru_dev *dev, enum sru_use use, size_t B)
{
    struct sru_lm lm, rounded;
    struct sru_decoder d;
    int32_t *ids = random_tokens(B * (LENGTH + 1), c->vocab, 9);
    float *nll = pooled(B * LENGTH * sizeof *nll), *expected = pooled(B * LENGTH * sizeof *expected);
    double *right = pooled(B * LENGTH * sizeof *right);

    open_model(&rounded, c, dev, SRU_USE_READ);
    if (use == SRU_USE_DECODE_INT8)
        ck_assert(!sru_lm_quantize(&rounded, NULL));
    evaluate(&rounded, B, 7, ids, expected);
    for (size_t i = 0; i < B * LENGTH; i++)
        right[i] = (double)expected[i];
    open_model(&lm, c, dev, use);
    if (use == SRU_USE_DECODE_INT8 && (c->n_e > 0 || !sru_is_cpu(dev)))   /* tables embed too, and only the processor's operands round */
        ck_assert(!sru_lm_quantize(&lm, NULL));
    ck_assert(!sru_decoder_open(&d, &lm, B, c->window, NULL));
    for (int again = 0; again < 2; again++) {   /* a reset leaves nothing of what was read */
        decode(&d, ids, nll);
        assert_near("nll", B * LENGTH, nll, right, dev->act_bytes == sizeof(float) ? 1e-5 : 0.02);
    }
    sru_decoder_close(&d);
    sru_lm_close(&lm), sru_lm_close(&rounded);
    close_kernels(dev);
}

static struct sru_dev *cpu(enum sru_precision precision)
{
    struct sru_dev *dev;

    ck_assert(!sru_cpu_open(NULL, precision, &dev, NULL));
    return dev;
}

START_TEST(decoding_is_evaluation)
{
    const struct sru_config c = model_variant(_i);

    compare(&c, cpu(SRU_PRECISION_F32), SRU_USE_READ, 2);
    for (size_t B = 1; B < 20; B += B == 1 ? 2 : 15) {
        compare(&c, cpu(SRU_PRECISION_F32), SRU_USE_DECODE, B);
        compare(&c, cpu(SRU_PRECISION_F32), SRU_USE_DECODE_INT8, B);
        compare(&c, cpu(SRU_PRECISION_BF16), SRU_USE_DECODE, B);
        compare(&c, cpu(SRU_PRECISION_BF16), SRU_USE_DECODE_INT8, B);
    }
}
END_TEST

/* There from a record too. */
START_TEST(decoding_is_evaluation_on_a_gpu)
{
    const struct sru_config c = model_variant(_i);

    for (size_t i = n_cpu_devices; i < n_all_devices; i++)
        for (size_t B = 1; B < 20; B += B == 1 ? 2 : 15) {
            struct sru_dev *dev = open_device((int)i);

            if (dev)
                compare(&c, dev, B == 3 ? SRU_USE_DECODE_INT8 : SRU_USE_DECODE, B);
        }
}
END_TEST

/* A stream reads the same bits alone and beside others. */
START_TEST(streams_do_not_matter)
{
    const struct sru_config c = model_variant(_i);
    struct sru_dev *dev;
    struct sru_lm lm;
    struct sru_decoder d;
    int32_t *ids = random_tokens(5 * (LENGTH + 1), c.vocab, 4);
    float together[5 * LENGTH], alone[LENGTH];

    ck_assert(!sru_cpu_open(NULL, SRU_PRECISION_AUTO, &dev, NULL));
    open_model(&lm, &c, dev, SRU_USE_DECODE);
    ck_assert(!sru_decoder_open(&d, &lm, 5, c.window, NULL));
    decode(&d, ids, together);
    sru_decoder_close(&d);
    ck_assert(!sru_decoder_open(&d, &lm, 1, c.window, NULL));
    for (size_t b = 0; b < 5; b++) {
        decode(&d, ids + b * (LENGTH + 1), alone);
        ck_assert_mem_eq(alone, together + b * LENGTH, sizeof alone);
    }
    sru_decoder_close(&d);
    sru_lm_close(&lm);
    close_kernels(dev);
}
END_TEST

/* In 8 bits a weight is off by at most half of a 127th of the largest of its row, and rounding again changes nothing. */
START_TEST(eight_bits)
{
    struct sru_dev *dev;
    struct sru_lm a, b;

    ck_assert(!sru_cpu_open(NULL, SRU_PRECISION_F32, &dev, NULL));
    open_model(&a, &plain_model, dev, SRU_USE_READ), open_model(&b, &plain_model, dev, SRU_USE_READ);
    a.w[a.params.out_w + 3] = b.w[b.params.out_w + 3] = 1000;
    ck_assert(!sru_lm_quantize(&b, NULL));
    const float *x = a.w + a.params.layers[1].w3, *y = b.w + b.params.layers[1].w3;
    const size_t out = 3 * plain_model.n_d;
    for (size_t o = 0; o < out; o++) {
        float top = 0;

        for (size_t i = 0; i < plain_model.n_proj; i++)
            top = fmaxf(top, fabsf(x[i * out + o]));
        for (size_t i = 0; i < plain_model.n_proj; i++)
            ck_assert(fabsf(x[i * out + o] - y[i * out + o]) <= top / 253);
    }
    ck_assert_float_eq(b.w[b.params.out_w + 3], 1000);
    ck_assert_float_eq(b.w[b.params.out_w + 4], 0);
    ck_assert_float_eq(b.w[b.params.embedding + 4], a.w[a.params.embedding + 4]);
    memcpy(a.w, b.w, b.params.arena * sizeof *a.w);
    ck_assert(!sru_lm_quantize(&b, NULL));
    for (size_t i = 0; i < b.params.arena; i++)
        ck_assert(fabsf(a.w[i] - b.w[i]) <= 1e-6f * fabsf(a.w[i]));
    b.w[b.params.out_w + 3] = NAN;
    ck_assert(!sru_lm_quantize(&b, NULL) && isnan(b.w[b.params.out_w + 4]));   /* what is broken stays so */
    sru_lm_close(&a), sru_lm_close(&b);
    close_kernels(dev);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("decoding");
    TCase *t = tcase_create("decoding");

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, decoding_is_evaluation, 0, VARIANTS);
    tcase_add_loop_test(t, decoding_is_evaluation_on_a_gpu, 0, VARIANTS);
    tcase_add_loop_test(t, streams_do_not_matter, 0, VARIANTS);
    tcase_add_test(t, eight_bits);
    suite_add_tcase(s, t);
    return run_suite(s);
}
