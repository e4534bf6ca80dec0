/* Safetensors and atomic replacement: round trips, and everything that can be wrong with a file. */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/io/replace.h"
#include "src/io/safetensors.h"
#include "tests/support.h"

static char directory[32];
static char path[sizeof directory + 16];

static void setup(void)
{
    strcpy(directory, "/tmp/check_files.XXXXXX");   /* anew for each test: they may share a process */
    ck_assert_ptr_nonnull(mkdtemp(directory));
    sprintf(path, "%s/x", directory);
}

static void teardown(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(directory), 0);   /* nothing else was left there */
}

static void put(const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(data, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

static size_t get(char *data, size_t room)
{
    FILE *f = fopen(path, "rb");

    ck_assert_ptr_nonnull(f);
    const size_t n = fread(data, 1, room, f);
    fclose(f);
    return n;
}

/* A file of this header (n bytes of it said to be there) and some data. */
static void put_header(const char *json, size_t data)
{
    char bytes[2048] = { 0 };
    const size_t n = strlen(json);

    for (int i = 0; i < 8; i++)
        bytes[i] = (char)(n >> (8 * i));
    memcpy(bytes + 8, json, n);
    put(bytes, 8 + n + data);
}

static sru_status try_open(struct sru_error *err)
{
    struct sru_st_file f;
    const sru_status status = sru_st_open(path, &f, err);

    if (!status)
        sru_st_close(&f);
    return status;
}

static const float numbers[6] = { 1, -2, 3.5f, 0, 1e30f, -1e-30f };
static const int64_t wholes[2] = { -1, (int64_t)1 << 60 };

static void write_sample(void)
{
    json_t *meta = json_pack("{s:s, s:s}", "z", "last", "a", "first");
    const struct sru_st_tensor t[] = {
        { .name = "b", .dtype = "F32", .rank = 2, .shape = { 2, 3 }, .data = numbers }, { .name = "a", .dtype = "F32", .data = numbers + 4 },
        { .name = "i", .dtype = "I64", .rank = 1, .shape = { 2 }, .data = wholes },
        { .name = "empty", .dtype = "F32", .rank = 2, .shape = { 0, 3 }, .data = numbers },
    };

    ck_assert(!sru_st_write(path, meta, t, 4, NULL));
    json_decref(meta);
}

START_TEST(round_trip)
{
    struct sru_st_file f;
    float out[6];
    int64_t ints[2];

    write_sample();
    ck_assert(!sru_st_open(path, &f, NULL));
    ck_assert_uint_eq(f.n_entries, 4);
    ck_assert_str_eq(sru_st_metadata(&f, "a"), "first");
    ck_assert_ptr_null(sru_st_metadata(&f, "nothing"));
    ck_assert(!sru_st_read_as(&f, "b", "F32", 2, (size_t[]){ 2, 3 }, out, NULL));
    ck_assert_mem_eq(out, numbers, sizeof numbers);
    ck_assert(!sru_st_read_as(&f, "i", "I64", 1, (size_t[]){ 2 }, ints, NULL));
    ck_assert_mem_eq(ints, wholes, sizeof wholes);
    ck_assert(!sru_st_read_as(&f, "a", "F32", 0, NULL, out, NULL));
    ck_assert(out[0] == numbers[4]);
    ck_assert_int_eq(sru_st_read_as(&f, "b", "F32", 2, (size_t[]){ 3, 2 }, out, NULL), SRU_EFORMAT);
    ck_assert_int_eq(sru_st_read_as(&f, "b", "F16", 2, (size_t[]){ 2, 3 }, out, NULL), SRU_EFORMAT);
    ck_assert_int_eq(sru_st_read_as(&f, "c", "F32", 2, (size_t[]){ 2, 3 }, out, NULL), SRU_EFORMAT);
    sru_st_close(&f);
}
END_TEST

START_TEST(equal_contents_give_equal_files)
{
    char first[2048], second[2048];

    write_sample();
    const size_t n = get(first, sizeof first);
    write_sample();
    ck_assert_uint_eq(get(second, sizeof second), n);
    ck_assert_mem_eq(first, second, n);
    ck_assert_uint_eq((unsigned char)first[0] % 8, 0);   /* the data begin at a multiple of 8 */
}
END_TEST

/* Cut at every length, one bit of the header flipped at a time: an error, or a file that still is one; never a crash. */
START_TEST(damaged_files)
{
    char good[2048];
    struct sru_error err;

    write_sample();
    const size_t n = get(good, sizeof good), header = 8 + (size_t)(unsigned char)good[0] + 256 * (size_t)(unsigned char)good[1];
    for (size_t cut = 0; cut < n; cut++) {
        put(good, cut);
        ck_assert_int_eq(try_open(&err), SRU_EFORMAT);
        ck_assert_ptr_nonnull(strstr(err.message, path));
    }
    for (size_t bit = 0; bit < 8 * header; bit++) {
        good[bit / 8] ^= (char)(1 << bit % 8);
        put(good, n);
        const sru_status status = try_open(&err);
        ck_assert(status == SRU_OK || status == SRU_EFORMAT);
        good[bit / 8] ^= (char)(1 << bit % 8);
    }
    good[n] = 0;
    put(good, n + 1);
    ck_assert_int_eq(try_open(&err), SRU_EFORMAT);
}
END_TEST

static const struct {
    const char *json;
    size_t data;
} bad_headers[] = {
    { "", 0 }, { "[]", 0 }, { "{", 0 }, { "{}x", 0 }, { "{}", 1 }, { "nul", 0 },
    { "{\"a\":1}", 0 }, { "{\"a\":{}}", 0 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 3 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 5 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4 },
    { "{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", 4 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0 },
    { "{\"a\":{\"dtype\":\"U8\",\"shape\":[9223372036854775807,3,0],\"data_offsets\":[0,0]}}", 0 },
    { "{\"a\":{\"dtype\":\"F64\",\"shape\":[2305843009213693952],\"data_offsets\":[0,0]}}", 0 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4 },
    { "{\"__metadata__\":{\"k\":1}}", 0 }, { "{\"__metadata__\":\"x\"}", 0 },
    { "{\"a\":[[[[[[]]]]]]}", 0 },
};

START_TEST(bad_header)
{
    struct sru_error err;

    put_header(bad_headers[_i].json, bad_headers[_i].data);
    ck_assert_int_eq(try_open(&err), SRU_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.message, path));
}
END_TEST

START_TEST(good_headers)
{
    put_header("{}", 0);
    ck_assert(!try_open(NULL));
    put_header("  {\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}\n ", 4);
    ck_assert(!try_open(NULL));
}
END_TEST

START_TEST(not_a_file)
{
    struct sru_st_file f;
    struct sru_error err;
    const unsigned char huge[9] = { 255, 255, 255, 255, 255, 255, 255, 255, '{' };

    ck_assert_int_eq(sru_st_open("/nowhere/at/all", &f, &err), SRU_EIO);
    ck_assert_ptr_nonnull(strstr(err.message, "/nowhere/at/all"));
    ck_assert_int_eq(sru_st_open(directory, &f, &err), SRU_EIO);
    ck_assert_ptr_nonnull(strstr(err.message, "directory"));
    put(huge, sizeof huge);
    ck_assert_int_eq(try_open(&err), SRU_EFORMAT);
    ck_assert_int_eq(mkfifo("/tmp/check_files.fifo", 0600), 0);
    ck_assert_int_eq(sru_st_open("/tmp/check_files.fifo", &f, &err), SRU_EIO);
    unlink("/tmp/check_files.fifo");
}
END_TEST

/* The whole of a replacement at once. */
static sru_status replace_file(const char *name, const void *data, size_t n, struct sru_error *err)
{
    struct sru_replace r;
    sru_status status = sru_replace_begin(&r, name, n, err);

    if (status)
        return status;
    status = sru_replace_write(&r, data, n, err);
    if (status) {
        sru_replace_abort(&r);
        return status;
    }
    return sru_replace_commit(&r, err);
}

/* A write that fails leaves the old file, and nothing beside it. */
START_TEST(failed_write)
{
    const struct rlimit little = { 4096, RLIM_INFINITY };
    static char big[65536];
    char old[16];
    struct sru_error err;

    put("old", 3);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
    ck_assert_int_eq(replace_file(path, big, sizeof big, &err), SRU_EIO);
    ck_assert_ptr_nonnull(strstr(err.message, path));
    ck_assert_uint_eq(get(old, sizeof old), 3);
    ck_assert_mem_eq(old, "old", 3);
    ck_assert_int_eq(replace_file("/nowhere/x", big, 1, &err), SRU_EIO);
    ck_assert(!replace_file(path, "new!", 4, NULL));
    ck_assert_uint_eq(get(old, sizeof old), 4);
}
END_TEST

START_TEST(sweep_takes_only_the_dead)
{
    char dead[sizeof path + 32], mine[sizeof path + 32], other[sizeof path + 32];
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    ck_assert_int_gt(child, 0);
    while (kill(child, 0) == 0)
        if (waitpid(child, NULL, 0) == child)
            break;
    sprintf(dead, "%s.tmp-%ld", path, (long)child);
    sprintf(mine, "%s.tmp-%ld", path, (long)getpid());
    sprintf(other, "%s.tmp-x1", path);
    fclose(fopen(dead, "w"));
    fclose(fopen(mine, "w"));
    fclose(fopen(other, "w"));
    sru_replace_sweep(directory);
    ck_assert_int_ne(access(dead, F_OK), 0);
    ck_assert_int_eq(unlink(mine), 0);
    ck_assert_int_eq(unlink(other), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("files");
    TCase *t = tcase_create("files");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, round_trip);
    tcase_add_test(t, equal_contents_give_equal_files);
    tcase_add_test(t, damaged_files);
    tcase_add_loop_test(t, bad_header, 0, (int)(sizeof bad_headers / sizeof *bad_headers));
    tcase_add_test(t, good_headers);
    tcase_add_test(t, not_a_file);
    tcase_add_test(t, failed_write);
    tcase_add_test(t, sweep_takes_only_the_dead);
    suite_add_tcase(s, t);
    return run_suite(s);
}
