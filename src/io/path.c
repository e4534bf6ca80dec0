/* Paths: see path.h. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/io/path.h"

char *sru_path_join(const char *directory, const char *name)
{
    const size_t n = strlen(directory) + 1 + strlen(name) + 1;
    char *path = malloc(n);

    if (path)
        snprintf(path, n, "%s/%s", directory, name);
    return path;
}

sru_status sru_make_directories(const char *directory, struct sru_error *err)
{
    char *path = strdup(directory);
    int failure = 0;

    if (!path)
        return sru_fail(err, SRU_ENOMEM, "out of memory");
    for (char *p = path; *p && !failure;) {
        p += strspn(p, "/");
        p += strcspn(p, "/");
        const char kept = *p;
        *p = '\0';
        if (*path && mkdir(path, 0777) && errno != EEXIST)
            failure = errno;
        *p = kept;
    }
    free(path);
    return failure ? sru_fail_errno(err, SRU_EIO, failure, "cannot make the directory %s", directory) : SRU_OK;
}
