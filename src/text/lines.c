/* Large texts by lines: see lines.h. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/io/path.h"
#include "src/size.h"
#include "src/text/lines.h"

enum { BUFFER = 4 << 20 };

/* ---- Which files ----------------------------------------------------------------------------- */

static const char *name_of(const char *path)
{
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

static bool add(struct sru_lines *l, char *path)
{
    char **more = path ? realloc(l->paths, (l->n_paths + 1) * sizeof *more) : NULL;

    if (!more) {
        free(path);
        return false;
    }
    l->paths = more;
    l->paths[l->n_paths++] = path;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The regular files of a directory, but for hidden ones. */
static sru_status add_directory(struct sru_lines *l, const char *path, struct sru_error *err)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    struct stat st;
    bool ok = true;

    if (!directory)
        return sru_fail_errno(err, SRU_EIO, errno, "cannot read the directory %s", path);
    while (ok && (entry = readdir(directory))) {
        if (entry->d_name[0] == '.')
            continue;
        char *name = sru_path_join(path, entry->d_name);
        if (name && (stat(name, &st) || !S_ISREG(st.st_mode)))
            free(name);
        else
            ok = add(l, name);
    }
    closedir(directory);
    if (!ok)
        return sru_fail(err, SRU_ENOMEM, "out of memory for the files of %s", path);
    if (l->n_paths == 0)
        return sru_fail(err, SRU_EIO, "%s has no files", path);
    qsort(l->paths, l->n_paths, sizeof *l->paths, by_name);
    return SRU_OK;
}

static sru_status find_files(struct sru_lines *l, const char *path, struct sru_error *err)
{
    struct stat st;

    if (strcmp(path, "-") != 0 && stat(path, &st))
        return sru_fail_errno(err, SRU_EIO, errno, "cannot open %s", path);
    if (strcmp(path, "-") != 0 && S_ISDIR(st.st_mode))
        return add_directory(l, path, err);
    return add(l, strdup(path)) ? SRU_OK : sru_fail(err, SRU_ENOMEM, "out of memory to read %s", path);
}

/* All files' bytes.  false: not known. */
static bool sized(const struct sru_lines *l, uint64_t *total)
{
    struct stat st;

    for (size_t i = 0; i < l->n_paths; i++) {
        if (strcmp(l->paths[i], "-") == 0 || stat(l->paths[i], &st) || !S_ISREG(st.st_mode))
            return false;
        *total += (uint64_t)st.st_size;
    }
    return true;
}

sru_status sru_lines_open(struct sru_lines *l, const char *path, struct sru_error *err)
{
    uint64_t total = 0;

    *l = (struct sru_lines){ .fd = -1, .room = BUFFER, .buffer = malloc(BUFFER) };
    const sru_status status = l->buffer ? find_files(l, path, err) : sru_fail(err, SRU_ENOMEM, "out of memory to read %s", name_of(path));

    if (status)
        sru_lines_close(l);
    else
        l->total = (l->sized = sized(l, &total)) ? total : 0;
    return status;
}

void sru_lines_close(struct sru_lines *l)
{
    for (size_t i = 0; i < l->n_paths; i++)
        free(l->paths[i]);
    free(l->paths);
    free(l->buffer);
    if (l->fd > STDIN_FILENO)
        close(l->fd);
    *l = (struct sru_lines){ .fd = -1 };
}

/* ---- Reading ------------------------------------------------------------------------------------ */

/* Fill what is left of the buffer; *got 0: the file ends. */
static sru_status fill(struct sru_lines *l, size_t *got, struct sru_error *err)
{
    const char *name = l->paths[l->next - 1];

    *got = 0;
    while (l->size < l->room) {
        const ssize_t n = read(l->fd, l->buffer + l->size, sru_min(l->room - l->size, (size_t)1 << 30));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sru_fail_errno(err, SRU_EIO, errno, "cannot read %s", name_of(name));
        if (n == 0)
            break;
        l->size += (size_t)n;
        *got += (size_t)n;
    }
    return SRU_OK;
}

static sru_status open_next(struct sru_lines *l, struct sru_error *err)
{
    const char *path = l->paths[l->next];

    l->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (l->fd < 0)
        return sru_fail_errno(err, SRU_EIO, errno, "cannot open %s", path);
    l->next++;
    l->from = l->size = 0;
    return SRU_OK;
}

/* How much of the buffer is whole lines. */
static size_t whole(const struct sru_lines *l)
{
    size_t end = l->size;

    while (end > l->from && l->buffer[end - 1] != '\n')
        end--;
    return end;
}

/* Room for more of a line that is longer than the buffer. */
static bool widen(struct sru_lines *l)
{
    char *larger = l->room <= SIZE_MAX / 2 ? realloc(l->buffer, 2 * l->room) : NULL;

    if (!larger)
        return false;
    l->buffer = larger;
    l->room *= 2;
    return true;
}

sru_status sru_lines_next(struct sru_lines *l, const char **text, size_t *n, struct sru_error *err)
{
    size_t got, end;
    sru_status status;

    for (*n = 0;;) {
        if (l->fd < 0 && l->next == l->n_paths)
            return SRU_OK;
        if (l->fd < 0 && (status = open_next(l, err)))
            return status;
        /* What was not whole goes to the front. */
        memmove(l->buffer, l->buffer + l->from, l->size - l->from);
        l->size -= l->from;
        l->from = 0;
        if ((status = fill(l, &got, err)))
            return status;
        const bool last = l->size < l->room;
        end = last ? l->size : whole(l);
        if (last) {
            if (l->fd > STDIN_FILENO)
                close(l->fd);
            l->fd = -1;
        }
        if (end > 0)
            break;
        if (!last && !widen(l))
            return sru_fail(err, SRU_ENOMEM, "out of memory for a line of more than %zu bytes in %s", l->room, name_of(l->paths[l->next - 1]));
    }
    *text = l->buffer;
    *n = l->from = end;
    return SRU_OK;
}
