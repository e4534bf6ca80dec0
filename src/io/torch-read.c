/* Reading PyTorch's files: see torch.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include "src/io/dtype.h"
#include "src/io/torch.h"
#include "src/size.h"

#define PICKLE "data.pkl"
enum { LARGEST_PICKLE = 64 << 20, PIECE = 1 << 20 };

/* ---- Entries ------------------------------------------------------------------------------------- */

static sru_status broken(const struct sru_torch_file *f, const char *entry, struct sru_error *err)
{
    return sru_fail(err, SRU_EFORMAT, "%s: its entry '%.80s' is missing, or cannot be read", f->path, entry);
}

/* An entry and how long it is. */
static zip_file_t *open_entry(const struct sru_torch_file *f, const char *name, uint64_t *size)
{
    zip_stat_t st;

    if (zip_stat(f->zip, name, 0, &st) || !(st.valid & ZIP_STAT_SIZE))
        return NULL;
    *size = st.size;
    return zip_fopen(f->zip, name, 0);
}

/* A file before PyTorch 1.6 is a pickle without an archive. */
static bool is_old(const char *path)
{
    static const unsigned char magic[] = { 0x80, 0x02, 0x8a, 0x0a };
    unsigned char first[sizeof magic];
    FILE *f = fopen(path, "rb");
    const bool old = f && fread(first, sizeof first, 1, f) == 1 && memcmp(first, magic, sizeof magic) == 0;

    if (f)
        fclose(f);
    return old;
}

static sru_status open_zip(struct sru_torch_file *f, struct sru_error *err)
{
    struct stat st;
    int failure;

    if (stat(f->path, &st))
        return sru_fail_errno(err, SRU_EIO, errno, "cannot open %s", f->path);
    if (!S_ISREG(st.st_mode))
        return sru_fail(err, SRU_EIO, "%s is not a regular file", f->path);
    if ((f->zip = zip_open(f->path, ZIP_RDONLY, &failure)))
        return SRU_OK;
    if (is_old(f->path))
        return sru_fail(err, SRU_EFORMAT, "%s is a file of PyTorch before 1.6: load it there, and save it with a newer one", f->path);
    return failure == ZIP_ER_OPEN ? sru_fail_errno(err, SRU_EIO, errno, "cannot open %s", f->path)
                                  : sru_fail(err, SRU_EFORMAT, "%s is not a PyTorch file: it is no zip archive, or a broken one", f->path);
}

/* The folder of the pickle, which there is one of. */
static sru_status find_folder(struct sru_torch_file *f, struct sru_error *err)
{
    const zip_int64_t n = zip_get_num_entries(f->zip, 0);

    for (zip_int64_t i = 0; i < n; i++) {
        const char *name = zip_get_name(f->zip, (zip_uint64_t)i, 0), *slash = name ? strrchr(name, '/') : NULL;

        if (!slash || strcmp(slash + 1, PICKLE) != 0)
            continue;
        f->folder = strndup(name, (size_t)(slash - name) + 1);
        return f->folder ? SRU_OK : sru_fail(err, SRU_ENOMEM, "out of memory");
    }
    return sru_fail(err, SRU_EFORMAT, "%s is not a PyTorch file: it has no " PICKLE, f->path);
}

static char *entry_name(const struct sru_torch_file *f, const char *prefix, const char *name)
{
    const size_t n = strlen(f->folder) + strlen(prefix) + strlen(name) + 1;
    char *path = malloc(n);

    if (path)
        snprintf(path, n, "%s%s%s", f->folder, prefix, name);
    return path;
}

static sru_status read_pickle(struct sru_torch_file *f, struct sru_error *err)
{
    char *name = entry_name(f, "", PICKLE);
    uint64_t size = 0;
    zip_file_t *entry = name ? open_entry(f, name, &size) : NULL;
    unsigned char *data = entry && size <= LARGEST_PICKLE ? malloc((size_t)size + 1) : NULL;
    sru_status status;

    if (data && zip_fread(entry, data, size) == (zip_int64_t)size)
        status = sru_pickle_tensors(data, (size_t)size, f->path, &f->tensors, err);
    else
        status = broken(f, PICKLE, err);
    if (entry)
        zip_fclose(entry);
    free(name);
    free(data);
    return status;
}

sru_status sru_torch_open(struct sru_torch_file *f, const char *path, struct sru_error *err)
{
    sru_status status;

    *f = (struct sru_torch_file){ .path = strdup(path) };
    if (!f->path)
        return sru_fail(err, SRU_ENOMEM, "out of memory");
    if ((status = open_zip(f, err)) || (status = find_folder(f, err)) || (status = read_pickle(f, err)))
        sru_torch_close(f);
    return status;
}

void sru_torch_close(struct sru_torch_file *f)
{
    if (f->zip)
        zip_discard(f->zip);
    sru_pt_tensors_close(&f->tensors);
    free(f->folder);
    free(f->path);
    *f = (struct sru_torch_file){ .path = NULL };
}

const struct sru_pt_tensor *sru_torch_find(const struct sru_torch_file *f, const char *name)
{
    for (size_t i = 0; i < f->tensors.n; i++)
        if (strcmp(f->tensors.items[i].name, name) == 0)
            return &f->tensors.items[i];
    return NULL;
}

/* ---- Values ----------------------------------------------------------------------------------------- */

static float from_half(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
    const float small = (float)fraction * 0x1p-24f;
    uint32_t bits = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13;
    float x;

    if (exponent == 0)
        return sign ? -small : small;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Element i of a storage's bytes. */
static float element(const unsigned char *bytes, uint64_t i, const char *dtype)
{
    uint16_t half;
    uint32_t word;
    float single;
    double twice;

    switch (dtype[0] == 'B' ? 'B' : dtype[1]) {
    case 'B':   /* BF16 */
        memcpy(&half, bytes + 2 * i, sizeof half);
        word = (uint32_t)half << 16;
        memcpy(&single, &word, sizeof single);
        return single;
    case '1':   /* F16 */
        memcpy(&half, bytes + 2 * i, sizeof half);
        return from_half(half);
    case '6':   /* F64 */
        memcpy(&twice, bytes + 8 * i, sizeof twice);
        return (float)twice;
    default:
        memcpy(&single, bytes + 4 * i, sizeof single);
        return single;
    }
}

/* Row-major, whatever the strides. */
static void gather(const struct sru_pt_tensor *t, const unsigned char *bytes, float *out)
{
    uint64_t count = 1;

    for (size_t i = 0; i < t->rank; i++)
        count *= t->shape[i];
    for (uint64_t n = 0; n < count; n++) {
        uint64_t at = t->offset, rest = n;

        for (size_t i = t->rank; i-- > 0; rest /= t->shape[i])
            at += rest % t->shape[i] * t->stride[i];
        out[n] = element(bytes, at, t->dtype);
    }
}

/* A whole storage; NULL where it is not there, or another length. */
static unsigned char *read_storage(const struct sru_torch_file *f, const struct sru_pt_tensor *t, const char *name)
{
    const uint64_t each = sru_dtype_bits(t->dtype) / 8;
    uint64_t size = 0, got = 0;
    zip_file_t *entry = open_entry(f, name, &size);
    unsigned char *bytes = NULL;

    if (entry && t->numel <= SIZE_MAX / each && size == t->numel * each && (bytes = malloc((size_t)size + 1)))
        while (got < size) {
            const zip_int64_t n = zip_fread(entry, bytes + got, sru_min(size - got, (uint64_t)PIECE));

            if (n <= 0)
                break;
            got += (uint64_t)n;
        }
    if (entry)
        zip_fclose(entry);
    if (got == size)
        return bytes;
    free(bytes);
    return NULL;
}

sru_status sru_torch_read(const struct sru_torch_file *f, const struct sru_pt_tensor *t, float *out, struct sru_error *err)
{
    char *name = entry_name(f, "data/", t->storage);
    unsigned char *bytes = name ? read_storage(f, t, name) : NULL;
    const sru_status status = bytes ? SRU_OK : broken(f, name ? name : t->storage, err);

    if (bytes)
        gather(t, bytes, out);
    free(bytes);
    free(name);
    return status;
}
