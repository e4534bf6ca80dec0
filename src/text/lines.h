/* Texts too large for memory, read by whole lines. */
#ifndef SRU_TEXT_LINES_H
#define SRU_TEXT_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/error.h"

/* A file, standard input, or a directory's files by name, one after another. */
struct sru_lines {
    char   **paths;
    size_t   n_paths, next;
    int      fd;              /* the file at hand, or -1 */
    char    *buffer;
    size_t   room, from, size;
    bool     sized;           /* all are files of a known size */
    uint64_t total;           /* and their bytes; 0 where they are not */
};

/* SRU_EIO: there is no such file, or no file in the directory; SRU_ENOMEM. */
sru_status sru_lines_open(struct sru_lines *l, const char *path, struct sru_error *err);
/*
 * Some lines: megabytes of them, and whole ones but for a file's last, which may have no end.  They stay until the next call.
 * A line has to fit in memory.  *n 0: there are no more.
 */
sru_status sru_lines_next(struct sru_lines *l, const char **text, size_t *n, struct sru_error *err);
void sru_lines_close(struct sru_lines *l);

#endif
