/* Every line of a text by itself, as KenLM's `query -v sentence` prints them. */
#ifndef SRU_CLI_EVAL_LINES_H
#define SRU_CLI_EVAL_LINES_H

#include "src/model/lm.h"
#include "src/text/text.h"
#include "src/text/vocab.h"

/*
 * Print for every line "Total: L OOV: N": the logarithm, to base 10, of its probability and its end's after the end of another line, and
 * how many of its words are unknown; then perplexities, unknown words and tokens of all lines.
 * @param net  one stream, for evaluation     @param name  of the text, for messages
 * @return as sru_part_get; SRU_ENOMEM, SRU_EDEVICE
 */
sru_status sru_eval_lines(struct sru_net *net, const struct sru_vocab *v, const struct sru_text *text, const char *name, struct sru_error *err);

#endif
