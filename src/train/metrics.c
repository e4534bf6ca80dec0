/* The log of a run: see metrics.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "src/train/metrics.h"

/* The step of one line, or false when the line is not a whole record. */
static bool step_of(const char *line, size_t n, uint64_t *step)
{
    json_t *record = n && line[n - 1] == '\n' ? json_loadb(line, n, 0, NULL) : NULL;
    json_t *value = json_object_get(record, "step");
    const bool whole = json_is_integer(value) && json_integer_value(value) >= 0;

    if (whole)
        *step = (uint64_t)json_integer_value(value);
    json_decref(record);
    return whole;
}

/* Bytes of the leading records up to step `keep`. */
static bool measure(const char *path, uint64_t keep, off_t *end)
{
    FILE *in = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    uint64_t step;

    *end = 0;
    if (!in)
        return errno == ENOENT;
    for (ssize_t n; (n = getline(&line, &room, in)) > 0; *end += n)
        if (!step_of(line, (size_t)n, &step) || step > keep)
            break;
    const bool good = !ferror(in);
    free(line);
    fclose(in);
    return good;
}

sru_status sru_metrics_open(struct sru_metrics *m, const char *path, uint64_t keep, struct sru_error *err)
{
    off_t end;

    *m = (struct sru_metrics){ .fd = -1 };
    if (!measure(path, keep, &end))
        return sru_fail_errno(err, SRU_EIO, errno, "cannot read %s", path);
    m->path = strdup(path);
    if (!m->path)
        return sru_fail(err, SRU_ENOMEM, "out of memory");
    m->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (m->fd >= 0 && ftruncate(m->fd, end) == 0)
        return SRU_OK;
    const int failure = errno;
    sru_metrics_close(m);
    return sru_fail_errno(err, SRU_EIO, failure, "cannot write %s", path);
}

void sru_metrics_close(struct sru_metrics *m)
{
    if (m->fd >= 0)
        close(m->fd);
    free(m->path);
    *m = (struct sru_metrics){ .fd = -1 };
}

static bool append(int fd, const char *line, size_t n)
{
    const off_t before = lseek(fd, 0, SEEK_END);

    for (size_t done = 0; done < n; ) {
        const ssize_t k = write(fd, line + done, n - done);

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) {
            const int failure = k < 0 ? errno : ENOSPC;

            /* Should this fail too, opening the file again cuts the torn line off. */
            (void)(before >= 0 && ftruncate(fd, before) == 0);
            errno = failure;
            return false;
        }
        done += (size_t)k;
    }
    return true;
}

sru_status sru_metrics_write(struct sru_metrics *m, json_t *record, struct sru_error *err)
{
    sru_status status = SRU_OK;

    if (m->fd >= 0) {
        char *text = record ? json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
        const size_t n = text ? strlen(text) : 0;

        if (text)
            text[n] = '\n';   /* in place of the terminator */
        if (!text)
            status = sru_fail(err, SRU_ENOMEM, "out of memory for a record of %s", m->path);
        else if (!append(m->fd, text, n + 1))
            status = sru_fail_errno(err, SRU_EIO, errno, "cannot write %s", m->path);
        free(text);
        if (status) {
            close(m->fd);
            m->fd = -1;
        }
    }
    json_decref(record);
    return status;
}

json_t *sru_metrics_number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}
