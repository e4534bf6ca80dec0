/* Texts in memory: see text.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/size.h"
#include "src/text/text.h"

/*
 * Read to the end, into room for `guess` bytes at first.  Not mapped: a file that is cut while it is mapped kills the
 * process that reads it.
 */
static sru_status read_all(struct sru_text *t, int fd, size_t guess, const char *name, struct sru_error *err)
{
    size_t room = sru_max(guess, (size_t)1 << 12);
    char *data = malloc(room);

    while (data) {
        if (t->size == room) {
            char *larger = room > SIZE_MAX / 2 ? NULL : realloc(data, room *= 2);

            if (!larger)
                free(data);
            if (!(data = larger))
                break;
        }
        const ssize_t got = read(fd, data + t->size, sru_min(room - t->size, (size_t)1 << 30));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            const int failure = errno;

            free(data);
            return sru_fail_errno(err, SRU_EIO, failure, "cannot read %s", name);
        }
        if (got == 0) {
            t->data = data;
            return SRU_OK;
        }
        t->size += (size_t)got;
    }
    return sru_fail(err, SRU_ENOMEM, "out of memory to read %s", name);
}

static sru_status open_text(struct sru_text *t, int fd, const char *name, struct sru_error *err)
{
    struct stat st;

    if (fstat(fd, &st))
        return sru_fail_errno(err, SRU_EIO, errno, "cannot examine %s", name);
    if (S_ISDIR(st.st_mode))
        return sru_fail(err, SRU_EIO, "%s is a directory: a text file is needed", name);
    /* One more than its size, so that the end is seen without growing. */
    const size_t guess = S_ISREG(st.st_mode) && (uintmax_t)st.st_size < SIZE_MAX ? (size_t)st.st_size + 1 : 0;
    const sru_status status = read_all(t, fd, guess, name, err);
    if (!status && t->size == 0) {
        sru_text_close(t);
        return sru_fail(err, SRU_EIO, "%s is empty", name);
    }
    return status;
}

sru_status sru_text_open(struct sru_text *t, const char *path, struct sru_error *err)
{
    const bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;
    const int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);

    *t = (struct sru_text){ 0 };
    if (fd < 0)
        return sru_fail_errno(err, SRU_EIO, errno, "cannot open %s", name);
    const sru_status status = open_text(t, fd, name, err);
    if (!standard)
        close(fd);
    return status;
}

void sru_text_close(struct sru_text *t)
{
    free(t->data);
    *t = (struct sru_text){ 0 };
}

uint64_t sru_text_fingerprint(const char *data, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)data[i]) * 0x100000001b3u;
    return h;
}
