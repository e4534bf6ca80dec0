/* Writing PyTorch's files: see torch.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include "src/io/replace.h"
#include "src/io/torch.h"

#define FOLDER "archive/"

/* ---- The pickle ------------------------------------------------------------------------------------- */

/* Operations, as src/io/pickle.c reads them. */
static void put_text(FILE *f, const char *text)
{
    const uint32_t n = (uint32_t)strlen(text);

    putc('X', f);
    for (unsigned i = 0; i < 4; i++)
        putc((int)(n >> 8 * i & 255), f);
    fputs(text, f);
}

static void put_number(FILE *f, uint64_t x)
{
    fputs("\x8a\x08", f);
    for (unsigned i = 0; i < 8; i++)
        putc((int)(x >> 8 * i & 255), f);
}

static size_t count_of(const struct sru_torch_tensor *t)
{
    size_t n = 1;

    for (size_t i = 0; i < t->rank; i++)
        n *= t->shape[i];
    return n;
}

/* _rebuild_tensor_v2(("storage", FloatStorage, key, "cpu", n), 0, shape, stride, False, OrderedDict()) */
static void put_tensor(FILE *f, const struct sru_torch_tensor *t, size_t storage)
{
    size_t stride = count_of(t);
    char key[24];

    snprintf(key, sizeof key, "%zu", storage);
    put_text(f, t->name);
    fputs("ctorch._utils\n_rebuild_tensor_v2\n((", f);
    put_text(f, "storage");
    fputs("ctorch\nFloatStorage\n", f);
    put_text(f, key);
    put_text(f, "cpu");
    put_number(f, count_of(t));
    fputs("tQ", f);
    put_number(f, 0);
    putc('(', f);
    for (size_t i = 0; i < t->rank; i++)
        put_number(f, t->shape[i]);
    fputs("t(", f);
    for (size_t i = 0; i < t->rank; i++)
        put_number(f, stride /= t->shape[i]);
    fputs("t\x89" "ccollections\nOrderedDict\n)RtR", f);
}

/* The first tensor that has the data of tensor i. */
static size_t storage_of(const struct sru_torch_tensor *tensors, size_t i)
{
    size_t k = 0;

    while (tensors[k].data != tensors[i].data)
        k++;
    return k;
}

/* NULL without memory. */
static char *make_pickle(const struct sru_torch_tensor *tensors, size_t n, size_t *size)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, size);

    if (!f)
        return NULL;
    fputs("\x80\x02" "ccollections\nOrderedDict\n)R(", f);
    for (size_t i = 0; i < n; i++)
        put_tensor(f, &tensors[i], storage_of(tensors, i));
    fputs("u.", f);
    if (fclose(f) == 0)
        return text;
    free(text);
    return NULL;
}

/* ---- The archive ---------------------------------------------------------------------------------------- */

/* Bytes that stay until the archive is closed; uncompressed, as PyTorch wants them. */
static bool add(zip_t *zip, const char *name, const void *data, size_t bytes)
{
    zip_source_t *source = zip_source_buffer(zip, data, bytes, 0);
    const zip_int64_t i = source ? zip_file_add(zip, name, source, ZIP_FL_ENC_UTF_8) : -1;

    if (source && i < 0)
        zip_source_free(source);
    return i >= 0 && zip_set_file_compression(zip, (zip_uint64_t)i, ZIP_CM_STORE, 0) == 0;
}

static bool add_all(zip_t *zip, const struct sru_torch_tensor *tensors, size_t n, const char *pickle, size_t size)
{
    bool ok = add(zip, FOLDER "data.pkl", pickle, size) && add(zip, FOLDER "byteorder", "little", 6);
    char name[64];

    for (size_t i = 0; i < n && ok; i++) {
        snprintf(name, sizeof name, FOLDER "data/%zu", i);
        if (storage_of(tensors, i) == i)
            ok = add(zip, name, tensors[i].data, count_of(&tensors[i]) * sizeof(float));
    }
    return ok && add(zip, FOLDER "version", "3\n", 2);
}

/* Into the file that is to replace another, which libzip makes anew. */
static sru_status write_archive(struct sru_replace *r, const char *path, const struct sru_torch_tensor *tensors, size_t n, struct sru_error *err)
{
    size_t size;
    char *pickle = make_pickle(tensors, n, &size);
    zip_t *zip = pickle ? zip_open(r->temp, ZIP_CREATE | ZIP_TRUNCATE, NULL) : NULL;
    sru_status status = SRU_OK;

    if (!zip || !add_all(zip, tensors, n, pickle, size)) {
        status = sru_fail(err, SRU_ENOMEM, "out of memory to write %s", path);
        if (zip)
            zip_discard(zip);
    } else if (zip_close(zip)) {
        status = sru_fail(err, SRU_EIO, "cannot write %s: %s", path, zip_strerror(zip));
        zip_discard(zip);
    }
    free(pickle);
    if (status)
        return status;
    close(r->fd);
    r->fd = open(r->temp, O_RDWR | O_CLOEXEC);
    return r->fd >= 0 ? SRU_OK : sru_fail_errno(err, SRU_EIO, errno, "cannot write %s", path);
}

sru_status sru_torch_write(const char *path, const struct sru_torch_tensor *tensors, size_t n, struct sru_error *err)
{
    struct sru_replace r;
    sru_status status = sru_replace_begin(&r, path, 0, err);

    if (status)
        return status;
    if (!(status = write_archive(&r, path, tensors, n, err)))
        return sru_replace_commit(&r, err);
    sru_replace_abort(&r);
    return status;
}
