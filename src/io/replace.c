/* Atomic replacement of files: see replace.h. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/io/replace.h"
#include "src/size.h"

#define MARK ".tmp-"   /* PATH.tmp-PID */

/* Reserve the file's size so that a full disk fails before a byte is written. */
static int reserve(int fd, uint64_t size)
{
#ifdef HAVE_POSIX_FALLOCATE
    if (size > 0) {
        int failure;

        do
            failure = posix_fallocate(fd, 0, (off_t)size);
        while (failure == EINTR);
        /* File systems that cannot reserve say so; then the writes find out. */
        return failure == EINVAL || failure == EOPNOTSUPP || failure == ENOSYS ? 0 : failure;
    }
#else
    (void)fd;
    (void)size;
#endif
    return 0;
}

static void finish(struct sru_replace *r)
{
    if (r->fd >= 0)
        close(r->fd);
    free(r->path);
    free(r->temp);
    *r = (struct sru_replace){ .fd = -1 };
}

void sru_replace_abort(struct sru_replace *r)
{
    if (r->temp)
        unlink(r->temp);
    finish(r);
}

/* Report a failure and take the new file away. */
static sru_status give_up(struct sru_replace *r, int failure, struct sru_error *err)
{
    const sru_status status = sru_fail_errno(err, SRU_EIO, failure, "cannot write %s", r->path);

    sru_replace_abort(r);
    return status;
}

sru_status sru_replace_begin(struct sru_replace *r, const char *path, uint64_t size, struct sru_error *err)
{
    const size_t room = strlen(path) + sizeof MARK + 24;
    int failure;

    *r = (struct sru_replace){ .fd = -1, .path = strdup(path), .temp = malloc(room) };
    if (!r->path || !r->temp) {
        finish(r);
        return sru_fail(err, SRU_ENOMEM, "out of memory to write %s", path);
    }
    snprintf(r->temp, room, "%s" MARK "%ld", path, (long)getpid());
    r->fd = open(r->temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (r->fd < 0) {
        failure = errno;
        free(r->temp);   /* nothing of ours to remove */
        r->temp = NULL;
        return give_up(r, failure, err);
    }
    failure = reserve(r->fd, size);
    return failure ? give_up(r, failure, err) : SRU_OK;
}

sru_status sru_replace_write(struct sru_replace *r, const void *data, size_t n, struct sru_error *err)
{
    const char *at = data;

    while (n > 0) {
        const ssize_t done = write(r->fd, at, sru_min(n, (size_t)1 << 30));

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return sru_fail_errno(err, SRU_EIO, errno, "cannot write %s", r->path);
        at += done;
        n -= (size_t)done;
    }
    return SRU_OK;
}

static int sync_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    int failure = directory ? 0 : ENOMEM;
    const int fd = directory ? open(directory, O_RDONLY | O_CLOEXEC) : -1;

    /* Some file systems cannot sync a directory, and then keep renames in order by themselves. */
    if (fd >= 0 && fsync(fd) && errno != EINVAL && errno != ENOTSUP)
        failure = errno;
    if (fd >= 0)
        close(fd);
    free(directory);
    return failure;
}

sru_status sru_replace_commit(struct sru_replace *r, struct sru_error *err)
{
    int failure;

    if (fsync(r->fd))   /* what is on the disk is unknown now: never tried again */
        return give_up(r, errno, err);
    failure = close(r->fd) ? errno : 0;
    r->fd = -1;
    if (failure || rename(r->temp, r->path))
        return give_up(r, failure ? failure : errno, err);
    free(r->temp);
    r->temp = NULL;
    if ((failure = sync_directory_of(r->path)))
        return give_up(r, failure, err);
    finish(r);
    return SRU_OK;
}

/* The process of NAME.tmp-PID, or 0 for any other name. */
static long writer_of(const char *name)
{
    const char *at = NULL;
    char *end;

    for (const char *p = name; (p = strstr(p, MARK)); p++)
        at = p + strlen(MARK);
    if (!at || *at < '1' || *at > '9')
        return 0;
    errno = 0;
    const long pid = strtol(at, &end, 10);
    return *end || errno || pid <= 1 ? 0 : pid;
}

void sru_replace_sweep(const char *directory)
{
    DIR *d = opendir(directory);
    struct dirent *entry;

    while (d && (entry = readdir(d))) {
        const long pid = writer_of(entry->d_name);

        if (pid && kill((pid_t)pid, 0) && errno == ESRCH)
            unlinkat(dirfd(d), entry->d_name, 0);
    }
    if (d)
        closedir(d);
}
