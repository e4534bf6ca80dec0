/* A program that uses libsru through sru.h and the shared library alone: score MODEL FILE prints the mean nats a byte, or a word. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/sru.h"

enum { END = -2, LONGEST = 256 };

/* The next token of a text of lines, or END. */
static int32_t next_token(const struct sru_model *m, FILE *text)
{
    const int32_t end = sru_model_word(m, "\n", 1);   /* -1: of bytes */
    char word[LONGEST];
    size_t n = 0;
    int c = getc(text);

    while (end >= 0 && c == ' ')
        c = getc(text);
    if (c == EOF)
        return END;
    if (end < 0)
        return sru_model_token(m, (unsigned char)c);
    if (c == '\n')
        return end;
    for (; c != EOF && c != ' ' && c != '\n' && n < LONGEST; c = getc(text))
        word[n++] = (char)c;
    ungetc(c, text);
    return sru_model_word(m, word, n);
}

/* Mean nats a token of a file, as `sru-lm eval` prints. */
static int score(struct sru_model *m, FILE *text)
{
    const size_t V = sru_model_vocab(m);
    float *logits = malloc(V * sizeof *logits);
    struct sru_reader *r;
    struct sru_error err;
    double sum = 0;
    long n = 0;
    int32_t token = next_token(m, text);
    size_t size;

    if (!logits || sru_reader_open(m, 0, &r, &err))
        return 1;
    if (sru_reader_read(r, (int32_t)V, NULL, &err) != SRU_EINVAL)
        return 1;
    if (sru_model_text(m, token, &size)[0] == '\0' || size == 0)
        return 1;
    for (int32_t next; (next = next_token(m, text)) != END; token = next, n++) {
        double total = 0;

        if (sru_reader_read(r, token, logits, &err)) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        for (size_t i = 0; i < V; i++)
            total += exp((double)logits[i]);
        sum += log(total) - (double)logits[next];
    }
    printf("%.4f\n", sum / (double)n);
    sru_reader_close(r);
    free(logits);
    return 0;
}

int main(int argc, char **argv)
{
    struct sru_model *m;
    struct sru_error err;
    FILE *text = argc == 3 ? fopen(argv[2], "rb") : NULL;

    if (!text)
        return 2;
    if (sru_model_open("/nowhere", &m, &err) != SRU_EIO || m || sru_model_open(argv[1], &m, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const int code = score(m, text);
    sru_model_close(m);
    fclose(text);
    return code;
}
