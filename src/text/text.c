/* Texts in memory: see text.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/size.h"
#include "src/text/text.h"

/* Read to the end what has no size beforehand: pipes, terminals, devices. */
static sru_status read_all(struct sru_text *t, int fd, const char *name, struct sru_error *err)
{
    size_t room = (size_t)1 << 16;
    char *data = malloc(room);

    for (;;) {
        if (data && t->size == room) {
            char *larger = room > SIZE_MAX / 2 ? NULL : realloc(data, room *= 2);
            if (!larger)
                free(data);
            data = larger;
        }
        if (!data)
            return sru_fail(err, SRU_ENOMEM, "%s: out of memory", name);
        const ssize_t got = read(fd, data + t->size, sru_min(room - t->size, (size_t)1 << 30));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            const int failure = errno;

            free(data);
            return sru_fail_errno(err, SRU_EIO, failure, "cannot read %s", name);
        }
        if (got == 0)
            break;
        t->size += (size_t)got;
    }
    t->data = data;
    return SRU_OK;
}

static sru_status open_text(struct sru_text *t, int fd, const char *name, struct sru_error *err)
{
    struct stat st;

    if (fstat(fd, &st))
        return sru_fail_errno(err, SRU_EIO, errno, "cannot examine %s", name);
    if (S_ISDIR(st.st_mode))
        return sru_fail(err, SRU_EIO, "%s is a directory: a text file is needed", name);
    if (S_ISREG(st.st_mode) && st.st_size > 0 && lseek(fd, 0, SEEK_CUR) == 0) {
        /* A private mapping: the pages are shared with the file cache and never written. */
        void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

        if (data != MAP_FAILED) {
            *t = (struct sru_text){ data, (size_t)st.st_size, true };
            return SRU_OK;
        }
    }
    const sru_status status = read_all(t, fd, name, err);
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
    void *memory;

    memcpy(&memory, &t->data, sizeof memory);   /* without its const: it is ours to give back */
    if (t->mapped)
        munmap(memory, t->size);
    else
        free(memory);
    *t = (struct sru_text){ 0 };
}

uint64_t sru_text_fingerprint(const char *data, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)data[i]) * 0x100000001b3u;
    return h;
}
