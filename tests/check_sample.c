/* Choosing tokens: the distribution, top-k, top-p, ties, and scores that cannot be used. */
#include "config.h"

#include <math.h>

#include "src/text/sample.h"
#include "tests/support.h"

enum { V = 5, DRAWS = 20000 };

static const float scores[V] = { 0, 1, 2, -1, 2 };

/* How often each token comes in many draws. */
static void count(const struct sru_sampler *s, double share[V])
{
    struct sru_candidate work[V];

    for (int i = 0; i < V; i++)
        share[i] = 0;
    for (uint64_t n = 0; n < DRAWS; n++)
        share[sru_sample(s, scores, V, n, work)] += 1.0 / DRAWS;
}

/* exp(score / temperature) of the tokens in `allowed`, normalised. */
static void expect(const struct sru_sampler *s, const bool allowed[V])
{
    double share[V], p[V], sum = 0;

    for (int i = 0; i < V; i++)
        sum += p[i] = allowed[i] ? exp((double)scores[i] / s->temperature) : 0;
    count(s, share);
    for (int i = 0; i < V; i++)
        ck_assert_msg(fabs(share[i] - p[i] / sum) < 0.015 && (p[i] > 0 || share[i] == 0), "token %d comes in %g, not %g", i, share[i],
                      p[i] / sum);
}

START_TEST(the_distribution)
{
    const struct sru_sampler plain = { .temperature = 1, .top_p = 1, .seed = 1 }, warm = { .temperature = 2.5, .top_p = 1, .seed = 2 };
    const struct sru_sampler k3 = { .temperature = 1, .top_k = 3, .top_p = 1 }, k1 = { .temperature = 1, .top_k = 1, .top_p = 1 };
    const bool all[V] = { 1, 1, 1, 1, 1 }, best3[V] = { 0, 1, 1, 0, 1 }, best1[V] = { 0, 0, 1, 0, 0 }, best2[V] = { 0, 0, 1, 0, 1 };

    expect(&plain, all);
    expect(&warm, all);
    expect(&k3, best3);
    expect(&k1, best1);   /* of equals the smaller id */
    /* Shares: two of .392, then .144, .053, .020. */
    expect(&(struct sru_sampler){ .temperature = 1, .top_p = 0.5 }, best2);
    expect(&(struct sru_sampler){ .temperature = 1, .top_p = 0.8 }, best3);
    expect(&(struct sru_sampler){ .temperature = 1, .top_p = 0 }, best1);
    expect(&(struct sru_sampler){ .temperature = 1, .top_k = 2, .top_p = 0.6 }, best2);
}
END_TEST

START_TEST(greedy_and_broken)
{
    const struct sru_sampler greedy = { .temperature = 0, .top_p = 1 }, plain = { .temperature = 1, .top_p = 1 };
    const float nan[V] = { 0, NAN, 0, 0, 0 }, inf[V] = { 0, INFINITY, 0, 0, 0 };
    const float none[V] = { -INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY };
    const float one[V] = { -INFINITY, -INFINITY, -INFINITY, -3e38f, -INFINITY };
    struct sru_candidate work[V];

    ck_assert_int_eq(sru_sample(&greedy, scores, V, 0, work), 2);
    ck_assert_int_eq(sru_sample(&plain, nan, V, 0, work), -1);
    ck_assert_int_eq(sru_sample(&plain, inf, V, 0, work), -1);
    ck_assert_int_eq(sru_sample(&plain, none, V, 0, work), -1);
    ck_assert_int_eq(sru_sample(&plain, one, V, 0, work), 3);
    ck_assert_int_eq(sru_sample(&greedy, one, V, 0, work), 3);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sampling");
    TCase *t = tcase_create("sampling");

    tcase_add_test(t, the_distribution);
    tcase_add_test(t, greedy_and_broken);
    suite_add_tcase(s, t);
    return run_suite(s);
}
