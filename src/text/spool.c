/*
 * Numbers in a file: see spool.h.  The lowest two bits of a number's first byte say how many bytes follow: to write or read one takes
 * no branch.  Frequent words come early, so most take one or two.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/io/path.h"
#include "src/size.h"
#include "src/text/spool.h"

enum { BUFFER = 1 << 20, MOST = 4 };   /* a number is written and read as MOST bytes, of which some are its own */

sru_status sru_spool_open(struct sru_spool *s, const char *directory, struct sru_error *err)
{
    char *path = sru_path_join(directory, "words.XXXXXX");
    const int fd = path ? mkstemp(path) : -1, failure = path ? errno : ENOMEM;

    *s = (struct sru_spool){ .fd = fd, .directory = directory };
    if (fd >= 0)
        unlink(path);
    free(path);
    if (fd < 0)
        return sru_fail_errno(err, SRU_EIO, failure, "cannot write in %s", directory);
    if (!(s->buffer = malloc(BUFFER + MOST)))
        return sru_fail(err, SRU_ENOMEM, "out of memory");
    return SRU_OK;
}

void sru_spool_close(struct sru_spool *s)
{
    if (s->fd >= 0)
        close(s->fd);
    free(s->buffer);
    *s = (struct sru_spool){ .fd = -1 };
}

static sru_status write_buffer(struct sru_spool *s, struct sru_error *err)
{
    for (size_t at = 0; at < s->n;) {
        const ssize_t n = write(s->fd, s->buffer + at, s->n - at);

        if (n < 0 && errno != EINTR)
            return sru_fail_errno(err, SRU_EIO, errno, "cannot write in %s", s->directory);
        at += n > 0 ? (size_t)n : 0;
    }
    s->n = 0;
    return SRU_OK;
}

sru_status sru_spool_put(struct sru_spool *s, const uint32_t *numbers, size_t n, struct sru_error *err)
{
    for (size_t i = 0; i < n;) {
        const size_t some = sru_min(n - i, (BUFFER - s->n) / MOST), begin = s->n;
        unsigned char *p = s->buffer + begin;

        for (const size_t end = i + some; i < end; i++) {
            const unsigned bits = 32 - (unsigned)__builtin_clz(numbers[i] | 1), more = (bits + 1) / 8;
            const uint32_t x = numbers[i] << 2 | more;
            const unsigned char bytes[MOST] = { (unsigned char)x, (unsigned char)(x >> 8), (unsigned char)(x >> 16), (unsigned char)(x >> 24) };

            memcpy(p, bytes, MOST);
            p += more + 1;
        }
        s->n = (size_t)(p - s->buffer);
        s->put += s->n - begin;
        if (s->n > BUFFER - MOST && write_buffer(s, err))
            return SRU_EIO;
    }
    return SRU_OK;
}

/* The rest of the buffer, and after it what the file has. */
static sru_status read_buffer(struct sru_spool *s, struct sru_error *err)
{
    memmove(s->buffer, s->buffer + s->at, s->n - s->at);
    s->n -= s->at;
    s->at = 0;
    while (s->n < BUFFER) {
        const ssize_t n = read(s->fd, s->buffer + s->n, BUFFER - s->n);

        if (n < 0 && errno != EINTR)
            return sru_fail_errno(err, SRU_EIO, errno, "cannot read the words' numbers again");
        if (n == 0)
            break;
        s->n += n > 0 ? (size_t)n : 0;
    }
    memset(s->buffer + s->n, 0, MOST);
    return SRU_OK;
}

sru_status sru_spool_seek(struct sru_spool *s, uint64_t place, struct sru_error *err)
{
    if (!s->taken && write_buffer(s, err))
        return SRU_EIO;
    s->taken = true;
    s->n = s->at = 0;
    if (lseek(s->fd, (off_t)place, SEEK_SET) < 0)
        return sru_fail_errno(err, SRU_EIO, errno, "cannot read the words' numbers again");
    return read_buffer(s, err);
}

sru_status sru_spool_take(struct sru_spool *s, uint32_t *numbers, size_t n, struct sru_error *err)
{
    for (size_t i = 0; i < n;) {
        if (s->n - s->at < MOST * (n - i) && s->n - s->at < BUFFER / 2 && read_buffer(s, err))
            return SRU_EIO;
        const unsigned char *p = s->buffer + s->at, *end = s->buffer + s->n;
        const size_t before = i;

        for (; i < n && p < end; i++) {
            const uint32_t x = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
            const unsigned more = x & 3;

            if (p + more >= end)
                break;
            numbers[i] = (x & UINT32_MAX >> (24 - 8 * more)) >> 2;
            p += more + 1;
        }
        s->at = (size_t)(p - s->buffer);
        if (i == before)
            return sru_fail(err, SRU_EIO, "cannot read the words' numbers again: they end too soon");
    }
    return SRU_OK;
}
