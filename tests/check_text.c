/* Texts, vocabularies, splits, streams. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/text/prepared.h"
#include "src/text/shuffle.h"
#include "tests/support.h"

START_TEST(vocabulary)
{
    static const char text[] = "banana\xff" "cab";   /* and the 0 after it */
    struct sru_vocab v = vocab_of(text, sizeof text), again;
    struct sru_part part;
    struct sru_error err;
    int32_t ids[4];

    ck_assert_uint_eq(v.size, 6);
    ck_assert_mem_eq(v.symbols, "\0abcn\xff", 6);
    ck_assert(!sru_part_of(&part, &v, "nabax", 5, "x", &err) && !sru_part_get(&part, &v, 0, 3, ids, "x", &err));
    ck_assert(ids[0] == 4 && ids[1] == 1 && ids[2] == 2);
    ck_assert_int_eq(sru_part_get(&part, &v, 2, 3, ids, "some.txt", &err), SRU_EFORMAT);
    ck_assert_str_eq(err.message, "some.txt: byte 4 is 'x', which is not in the model's vocabulary of 6");
    json_t *list = sru_vocab_to_json(&v);
    ck_assert(!sru_vocab_from_json(&again, list, &err));
    ck_assert_mem_eq(&again, &v, sizeof v);
    ck_assert(sru_vocab_same(&again, &v) && strcmp(sru_unit_name(v.unit), "byte") == 0);
    json_array_append_new(list, json_integer(255));
    ck_assert_int_eq(sru_vocab_from_json(&again, list, &err), SRU_EFORMAT);
    json_decref(list);
    ck_assert_int_eq(sru_vocab_from_json(&again, NULL, &err), SRU_EFORMAT);
}
END_TEST

START_TEST(splits)
{
    double p[3];
    size_t end[3];
    const char *const bad[] = { "", "90", "90/", "90/5/5/0", "95/10", "-5/5", "0/5", "a/b", "90/5/5x", " 90/5", "nan/5" };
    char text[] = "0123456789abcdefghij";
    const struct sru_text t = { text, 20 };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!sru_split_parse(bad[i], p), "'%s' was taken", bad[i]);
    ck_assert(sru_split_parse("90/5/5", p));
    sru_split_text(&t, p, false, end);
    ck_assert(end[0] == 18 && end[1] == 19 && end[2] == 20);
    ck_assert(sru_split_parse("90/10", p));
    sru_split_text(&t, p, false, end);
    ck_assert(end[0] == 18 && end[1] == 20 && end[2] == 20);
    ck_assert(sru_split_parse("50/25", p));
    sru_split_text(&t, p, false, end);
    ck_assert(end[0] == 10 && end[1] == 15 && end[2] == 15);
    /* At lines' beginnings: the middle and three quarters are in the second and the third. */
    char lines[] = "0123\n56789abc\nefghi\n";
    const struct sru_text l = { lines, 20 };
    sru_split_text(&l, p, true, end);
    ck_assert(end[0] == 14 && end[1] == 20 && end[2] == 20);
    ck_assert(sru_split_parse("25/50", p));
    sru_split_text(&l, p, true, end);
    ck_assert(end[0] == 5 && end[1] == 20);
}
END_TEST

START_TEST(streams)
{
    static const char text[] = "abcdefghijk";
    const struct sru_vocab v = vocab_of(text, 11);
    const struct sru_part part = { .data = text, .size = 11, .width = 1 };
    struct sru_streams s;
    struct sru_error err;
    int32_t x[4], y[4];
    bool anew;

    ck_assert(!sru_streams_open(&s, &v, &part, 2, 2, 1, &err));
    for (int k = 0; k < 4; k++) {   /* two epochs of 2 segments */
        ck_assert(!sru_streams_next(&s, x, y, &anew, &err) && anew == (k == 2));
        ck_assert(s.epoch == (uint64_t)k / 2 && s.segment == (uint64_t)k % 2 + 1);
        for (int i = 0; i < 4; i++)
            ck_assert(x[i] == i / 2 * 5 + i % 2 + k % 2 * 2 && y[i] == x[i] + 1);
    }
    ck_assert(!sru_streams_seek(&s, 7, 1, &err) && !sru_streams_next(&s, x, y, &anew, &err) && x[0] == 2);
    ck_assert_int_eq(sru_streams_seek(&s, 7, 3, &err), SRU_EFORMAT);
    sru_streams_close(&s);
    ck_assert_int_eq(sru_streams_open(&s, &v, &part, 2, 6, 1, &err), SRU_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.message, "11 bytes"));
}
END_TEST

START_TEST(files)
{
    struct sru_text t;
    struct sru_error err;
    char path[] = "/tmp/check_text.XXXXXX";
    const int fd = mkstemp(path);

    ck_assert_int_eq(sru_text_open(&t, "/nowhere", &err), SRU_EIO);
    ck_assert_int_eq(sru_text_open(&t, "/tmp", &err), SRU_EIO);
    ck_assert_int_eq(sru_text_open(&t, path, &err), SRU_EIO);
    ck_assert_ptr_nonnull(strstr(err.message, "is empty"));
    ck_assert_int_eq((int)write(fd, "abc", 3), 3);
    ck_assert(!sru_text_open(&t, path, &err));
    ck_assert(t.size == 3 && memcmp(t.data, "abc", 3) == 0);
    ck_assert(sru_text_fingerprint(t.data, 3) == 0xe71fa2190541574bu);   /* FNV-1a's published value */
    sru_text_close(&t);
    close(fd);
    unlink(path);
}
END_TEST

/* ---- Corpora -------------------------------------------------------------------------------------------- */

static char directory[64];

static void make_directory(void)
{
    strcpy(directory, "/tmp/check_text.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void remove_directory(void)
{
    char command[128];

    sprintf(command, "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static const char *write_file(const char *name, const char *text, size_t size)
{
    static char paths[4][128];
    static int n;
    char *path = paths[n++ % 4];

    sprintf(path, "%s/%s", directory, name);
    FILE *f = fopen(path, "wb");
    ck_assert_uint_eq(fwrite(text, 1, size, f), size);
    fclose(f);
    return path;
}

static void no_progress(void *context, uint64_t bytes, uint64_t of)
{
    (void)context;
    ck_assert(of == 0 || bytes <= of);
}
static const struct sru_preparing quietly = { .progress = no_progress };

/* Both have the same parts and vocabulary. */
static void assert_same(const struct sru_corpus *a, const struct sru_corpus *b)
{
    struct sru_error err;

    ck_assert(sru_vocab_same(&a->vocab, &b->vocab));
    for (size_t i = 0; i < SRU_PARTS; i++) {
        ck_assert_uint_eq(a->part[i].size, b->part[i].size);
        ck_assert_uint_eq(a->part[i].bytes, b->part[i].bytes);
        for (size_t k = 0; k < a->part[i].size; k++) {
            int32_t x, y;

            ck_assert(!sru_part_get(&a->part[i], &a->vocab, k, 1, &x, "a", &err) && !sru_part_get(&b->part[i], &b->vocab, k, 1, &y, "b", &err));
            ck_assert_int_eq(x, y);
        }
    }
}

/* A text of lines of words, some of them frequent; every so often a very long line. */
static char *make_text(size_t size, size_t longest)
{
    char *text = malloc(size + 32);
    size_t n = 0, line = 0;

    for (unsigned i = 1; n < size; i = i * 1103515245 + 12345) {
        const unsigned kind = i >> 16;

        n += (size_t)sprintf(text + n, "%s%u", kind % 7 == 0 ? "Word" : kind % 7 < 4 ? "w" : "another", kind % 7 < 4 ? kind % 97 : kind % 20011);
        text[n] = n - line > (kind % 50 == 0 ? longest : 40) ? '\n' : ' ';
        line = text[n++] == '\n' ? n : line;
    }
    return text;
}

/* What was prepared is what the texts give: split at every place near an end of a line, and by three files. */
START_TEST(prepared_is_the_same)
{
    const struct sru_tokenizing how[] = {
        { .unit = SRU_WORDS, .min_count = 1 }, { .unit = SRU_WORDS, .lower = true, .min_count = 2 }, { .unit = SRU_WORDS, .min_count = 1, .most = 50 },
    };
    char *text = make_text(3000, 500);
    const char *path = write_file("text", text, 3000);
    struct sru_corpus a, b;
    struct sru_prepared x;
    struct sru_error err;

    for (int k = 0; k < 120; k++) {
        const struct sru_sources from = { { k % 3 == 2 ? write_file("train", text, 1500) : path, k % 3 == 2 ? path : NULL, NULL },
                                          { 50 + k / 30.0, 40 - k / 20.0, k % 2 } };
        const struct sru_sources there = { { directory, NULL, NULL }, { 0 } };

        ck_assert_msg(!sru_corpus_open(&a, &from, &how[k % 3], &err), "%s", err.message);
        ck_assert_msg(!sru_prepare(directory, &from, &how[k % 3], NULL, &quietly, &x, &err), "%s", err.message);
        ck_assert_msg(!sru_corpus_open(&b, &there, NULL, &err), "%s", err.message);
        ck_assert(x.words == a.vocab.size && x.tokens[SRU_VALID] == a.part[SRU_VALID].size);
        assert_same(&a, &b);
        sru_corpus_close(&a), sru_corpus_close(&b);
    }
    free(text);
}
END_TEST

/* More than a buffer holds, lines longer than it among them, and more words than 16 bits number. */
START_TEST(large_texts)
{
    const size_t size = 11 << 20;
    const struct sru_tokenizing how = { .unit = SRU_WORDS, .min_count = 1 };
    char *text = make_text(size, 5 << 20);
    const struct sru_sources there = { { directory, NULL, NULL }, { 0 } };
    struct sru_corpus a, b;
    struct sru_prepared x;
    struct sru_error err;

    for (int i = 0; i < 70000; i++)
        text[40 * (size_t)i + (size_t)sprintf(text + 40 * i, "%d", i)] = ' ';
    const struct sru_sources from = { { write_file("text", text, size), NULL, NULL }, { 60, 30, 10 } };
    ck_assert(!sru_corpus_open(&a, &from, &how, &err) && !sru_prepare(directory, &from, &how, NULL, &quietly, &x, &err));
    ck_assert(!sru_corpus_open(&b, &there, NULL, &err));
    ck_assert(a.vocab.size > 65536 && b.part[0].width == 4 && sru_vocab_same(&a.vocab, &b.vocab));
    for (size_t i = 0; i < SRU_PARTS; i++) {
        ck_assert(a.part[i].size == b.part[i].size && a.part[i].bytes == b.part[i].bytes);
        ck_assert_mem_eq(a.part[i].data, b.part[i].data, 4 * a.part[i].size);
    }
    sru_corpus_close(&a), sru_corpus_close(&b);
    free(text);
}
END_TEST

START_TEST(given_vocabularies)
{
    static const char list[] = "the 17\n<unk>\ncat\n<eos>\n", text[] = "the dog\nthe cat\n";
    const struct sru_tokenizing how = { .unit = SRU_WORDS };
    const char *path = write_file("text", text, sizeof text - 1);
    const struct sru_sources from = { { path, path, NULL }, { 0 } }, there = { { directory, NULL, NULL }, { 0 } };
    struct sru_corpus c;
    struct sru_prepared x;
    struct sru_vocab v;
    struct sru_error err;
    int32_t ids[6];

    ck_assert(!sru_vocab_read(&v, write_file("list", list, sizeof list - 1), false, &err) && v.size == 4 && v.unknown == 1);
    ck_assert(!sru_prepare(directory, &from, &how, &v, &quietly, &x, &err) && x.unknown[0] == 1 && x.words == 4);
    ck_assert(!sru_corpus_open(&c, &there, NULL, &err) && sru_vocab_same(&c.vocab, &v));
    ck_assert(c.part[0].size == 6 && !sru_part_get(&c.part[0], &v, 0, 6, ids, "x", &err));
    ck_assert_mem_eq(ids, ((int32_t[]){ 0, 1, 3, 0, 2, 3 }), sizeof ids);
    sru_corpus_close(&c), sru_vocab_close(&v);

    ck_assert(!sru_vocab_read(&v, write_file("list", "the\ncat\n<eos>", 13), false, &err) && v.unknown == -1);
    ck_assert_int_eq(sru_prepare(directory, &from, &how, &v, &quietly, &x, &err), SRU_EFORMAT);
    sru_vocab_close(&v);
    ck_assert_int_eq(sru_vocab_read(&v, write_file("list", "a\nb\na\n", 6), false, &err), SRU_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.message, "line 3"));
    ck_assert_int_eq(sru_vocab_read(&v, write_file("list", "a\n\nb\n", 5), false, &err), SRU_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.message, "line 2"));
}
END_TEST

/* Every number below n once, in another order for another seed or epoch. */
START_TEST(shuffled)
{
    static bool seen[5000];
    size_t fixed = 0;

    for (uint64_t n = 1; n < 5000; n += n < 70 ? 1 : 977) {
        memset(seen, 0, sizeof seen);
        for (uint64_t i = 0; i < n; i++) {
            const uint64_t at = sru_shuffled(i, n, 5, n % 3);
            ck_assert(at < n && !seen[at]);
            seen[at] = true;
        }
    }
    for (uint64_t i = 0; i < 1000; i++) {
        const uint64_t at = sru_shuffled(i, 1000, 5, 0);
        fixed += (size_t)(at == i) + (at == sru_shuffled(i, 1000, 5, 1)) + (at == sru_shuffled(i, 1000, 6, 0)) + (at + 1 == sru_shuffled(i + 1, 1001, 5, 0));
    }
    ck_assert_uint_lt(fixed, 40);   /* about 1 each is due */
}
END_TEST

/* Of all sentences of open_sentences. */
static size_t count_words(int n)
{
    size_t sum = 0;

    for (int i = 0; i < n; i++)
        sum += 2 + (size_t)i % 7;
    return sum;
}

/* Sentence i is "<i> <i>.1 ... <eos>", of i % 7 more words. */
static void open_sentences(struct sru_corpus *c, int n)
{
    const struct sru_tokenizing how = { .unit = SRU_WORDS, .min_count = 1, .sentences = true };
    char *text = malloc((size_t)n * 100);
    size_t size = 0;
    struct sru_prepared x;
    struct sru_error err;

    for (int i = 0; i < n; i++) {
        size += (size_t)sprintf(text + size, "%d", i);
        for (int k = 1; k <= i % 7; k++)
            size += (size_t)sprintf(text + size, " %d.%d", i, k);
        text[size++] = '\n';
    }
    const char *path = write_file("text", text, size);
    const struct sru_sources from = { { path, path, NULL }, { 0 } }, there = { { directory, NULL, NULL }, { 0 } };
    ck_assert(!sru_prepare(directory, &from, &how, NULL, &quietly, &x, &err));
    ck_assert_msg(!sru_corpus_open(c, &there, NULL, &err), "%s", err.message);
    ck_assert(c->part[SRU_TRAIN].n_lines == (size_t)n && c->part[SRU_TRAIN].size == count_words(n) + 1);
    free(text);
}

/* Streams are whole sentences, none twice in an epoch, in another order in the next; and go on from anywhere. */
START_TEST(streams_of_sentences)
{
    enum { N = 500, B = 3, T = 7 };
    struct sru_corpus c;
    struct sru_streams s, later;
    struct sru_error err;
    static int32_t x[B * T], y[B * T], other[B * T], again[B * T], first[2][B * T];
    int times[N] = { 0 }, at[B] = { 0 }, word[B] = { 0 }, epochs = 0;
    bool anew;

    open_sentences(&c, N);
    ck_assert(!sru_streams_open(&s, &c.vocab, &c.part[SRU_TRAIN], B, T, 3, &err) && !sru_streams_open(&later, &c.vocab, &c.part[SRU_TRAIN], B, T, 3, &err));
    for (int k = 0; epochs < 3; k++) {
        ck_assert(!sru_streams_next(&s, x, y, &anew, &err) && !anew);
        if (s.segment == 1) {
            for (int i = 0; i < N; i++)
                ck_assert_int_le(times[i], 1);
            memset(times, 0, sizeof times), memset(word, 0, sizeof word);
            epochs += k > 0;
            memcpy(first[epochs % 2], y, sizeof y);
            ck_assert(k == 0 || memcmp(first[0], first[1], sizeof y) != 0);
        }
        for (int b = 0; b < B; b++)
            for (int t = 0; t < T; t++) {
                const char *text = c.vocab.words.text + c.vocab.words.at[y[b * T + t]];
                char expected[32];

                ck_assert_int_eq(x[b * T + t], t > 0 ? y[b * T + t - 1] : word[b] == 0 ? c.vocab.end : x[b * T + t]);
                if (word[b] == 0)
                    at[b] = atoi(text), times[at[b]]++;
                sprintf(expected, word[b] == 0 ? "%d" : word[b] <= at[b] % 7 ? "%d.%d" : "<eos>", at[b], word[b]);
                ck_assert_str_eq(text, expected);
                word[b] = word[b] > at[b] % 7 ? 0 : word[b] + 1;
            }
        if (k % 5 == 0) {
            ck_assert(!sru_streams_seek(&later, s.epoch, s.segment - 1, &err) && !sru_streams_next(&later, other, again, &anew, &err));
            ck_assert_mem_eq(again, y, sizeof y);
            ck_assert_mem_eq(other, x, sizeof x);
        }
    }
    ck_assert_int_eq(sru_streams_seek(&later, 0, 1000, &err), SRU_EFORMAT);
    static uint64_t broken[N + 1];   /* sentences that are not in the part, or have no length */
    for (int kind = 0; kind < 3; kind++) {
        for (uint64_t i = 0; i <= N; i++)
            broken[i] = kind == 0 ? (i + 1) * 1000000 : kind == 1 ? 7 : N - i + 1;
        s.part.lines = broken;
        ck_assert(sru_streams_seek(&s, 0, 1, &err) == SRU_EFORMAT && strstr(err.message, "not where it can be"));
    }
    sru_streams_close(&s), sru_streams_close(&later), sru_corpus_close(&c);
}
END_TEST

START_TEST(broken_corpora)
{
    const struct sru_tokenizing how = { .unit = SRU_WORDS, .min_count = 1 };
    const char *path = write_file("text", "a b\na \xff\n", 8), *good = write_file("good", "a b\nc d\ne f\n", 12);
    const struct sru_sources bad = { { path, path, NULL }, { 0 } }, from = { { good, good, NULL }, { 0 } };
    struct sru_sources there = { { directory, NULL, NULL }, { 0 } };
    struct sru_corpus c;
    struct sru_prepared x;
    struct sru_error err;
    char file[128];

    ck_assert_int_eq(sru_corpus_open(&c, &bad, &how, &err), SRU_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.message, "UTF-8"));
    ck_assert_int_eq(sru_prepare(directory, &bad, &how, NULL, &quietly, &x, &err), SRU_EFORMAT);
    ck_assert(!sru_prepare(directory, &from, &how, NULL, &quietly, &x, &err));
    there.path[SRU_VALID] = good;
    ck_assert_int_eq(sru_corpus_open(&c, &there, &how, &err), SRU_EINVAL);
    there.path[SRU_VALID] = NULL;
    sprintf(file, "%s/corpus.safetensors", directory);
    for (long size = 0; size < 700; size += 13) {   /* cut anywhere: an error, whatever it says */
        ck_assert(!sru_prepare(directory, &from, &how, NULL, &quietly, &x, &err));
        ck_assert_int_eq(truncate(file, size), 0);
        ck_assert_int_ne(sru_corpus_open(&c, &there, NULL, &err), SRU_OK);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("text");
    TCase *t = tcase_create("text");

    tcase_add_test(t, vocabulary);
    tcase_add_test(t, splits);
    tcase_add_test(t, streams);
    tcase_add_test(t, files);
    suite_add_tcase(s, t);
    t = tcase_create("corpora");
    tcase_add_checked_fixture(t, make_directory, remove_directory);
    tcase_add_test(t, prepared_is_the_same);
    tcase_add_test(t, large_texts);
    tcase_add_test(t, given_vocabularies);
    tcase_add_test(t, shuffled);
    tcase_add_test(t, streams_of_sentences);
    tcase_add_test(t, broken_corpora);
    suite_add_tcase(s, t);
    return run_suite(s);
}
