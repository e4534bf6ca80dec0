/* A run's directory: see directory.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/io/path.h"
#include "src/io/replace.h"
#include "src/text/vocab.h"
#include "src/train/directory.h"

static sru_status lock(struct sru_directory *d, const char *path, struct sru_error *err)
{
    d->lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->lock < 0)
        return sru_fail_errno(err, SRU_EIO, errno, "cannot open the directory %s", path);
    if (flock(d->lock, LOCK_EX | LOCK_NB) == 0)
        return SRU_OK;
    if (errno == EWOULDBLOCK)
        return sru_fail(err, SRU_EIO, "%s is in use by another sru-lm: wait for it, or choose another --out", path);
    return sru_fail_errno(err, SRU_EIO, errno, "cannot lock the directory %s", path);
}

sru_status sru_directory_open(struct sru_directory *d, const char *path, bool resume, struct sru_error *err)
{
    sru_status status;

    *d = (struct sru_directory){ .lock = -1, .last = sru_path_join(path, SRU_LAST_NAME), .best = sru_path_join(path, "best.safetensors"),
                                 .metrics = sru_path_join(path, "metrics.jsonl"), .vocabulary = sru_path_join(path, SRU_VOCABULARY_NAME) };
    if (!d->last || !d->best || !d->metrics || !d->vocabulary)
        status = sru_fail(err, SRU_ENOMEM, "out of memory");
    else if (!(status = resume ? SRU_OK : sru_make_directories(path, err)))
        status = lock(d, path, err);
    if (!status) {
        const bool holds = access(d->last, F_OK) == 0;

        sru_replace_sweep(path);
        if (resume && !holds)
            status = sru_fail(err, SRU_EIO, "%s holds no run to resume: there is no " SRU_LAST_NAME, path);
        if (!resume && holds)
            status = sru_fail(err, SRU_EIO, "%s already holds a run: go on with --resume, or choose another --out", path);
    }
    if (status)
        sru_directory_close(d);
    return status;
}

void sru_directory_close(struct sru_directory *d)
{
    if (d->lock >= 0)
        close(d->lock);
    free(d->last);
    free(d->best);
    free(d->metrics);
    free(d->vocabulary);
    *d = (struct sru_directory){ .lock = -1 };
}
