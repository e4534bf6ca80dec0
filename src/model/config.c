/* Model configurations: checks and JSON. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "src/model/config.h"
#include "src/size.h"

struct sru_config sru_config_default(void)
{
    return (struct sru_config){ .heads = 1, .attn_every_n_layers = 1, .attn_layer_norm = true,
                                .highway_bias = -2, .div_val = 4 };
}

void sru_config_divide(struct sru_config *c, size_t words)
{
    static const size_t usual[] = { 2000, 20000, 100000 };
    size_t e = c->n_e;

    c->n_cutoffs = 0;
    for (size_t i = 0; i < sizeof usual / sizeof *usual && words > usual[i] && (e /= c->div_val) > 0; i++)
        c->cutoffs[c->n_cutoffs++] = usual[i];
    if (c->n_cutoffs == 0)
        c->n_e = 0;
}

bool sru_config_attends(const struct sru_config *c, size_t layer)
{
    if (c->attn_last_n_layers)
        return c->depth - layer <= c->attn_last_n_layers;
    return (layer + 1) % c->attn_every_n_layers == 0;
}

struct sru_cluster_sizes sru_config_cluster(const struct sru_config *c, size_t i)
{
    const size_t from = i > 0 ? c->cutoffs[i - 1] : 0;
    size_t e = c->n_e;

    for (size_t k = 0; k < i; k++)   /* floor(n_e / div^i), step by step */
        e /= c->div_val;
    return (struct sru_cluster_sizes){ from, (i < c->n_cutoffs ? c->cutoffs[i] : c->vocab) - from, e };
}

float sru_config_scale(const struct sru_config *c)
{
    return c->rescale ? (float)sqrt(1 + 2 * exp(c->highway_bias)) : 1;
}

/* ---- Fields by name ----------------------------------------------------------------- */

enum kind { SIZE, SWITCH, REAL, CUTOFFS };

#define FIELD(kind, member) { #member, kind, offsetof(struct sru_config, member) }
static const struct field {
    const char *name;
    enum kind   kind;
    size_t      offset;
} fields[] = {
    FIELD(SIZE, vocab), FIELD(SIZE, n_d), FIELD(SIZE, n_proj), FIELD(SIZE, depth), FIELD(SIZE, heads),
    FIELD(SIZE, attn_every_n_layers), FIELD(SIZE, attn_last_n_layers), FIELD(SWITCH, layer_norm),
    FIELD(SWITCH, normalize_after), FIELD(SWITCH, attn_layer_norm), FIELD(SWITCH, rescale),
    FIELD(REAL, highway_bias), FIELD(REAL, dropout), FIELD(REAL, attn_dropout), FIELD(SIZE, window),
    FIELD(SIZE, n_e), FIELD(SIZE, div_val), FIELD(CUTOFFS, cutoffs), FIELD(SWITCH, tie_projs), FIELD(REAL, emb_dropout),
};
#define N_FIELDS (sizeof fields / sizeof *fields)
#define N_PLAIN (N_FIELDS - 5)   /* of all models; the rest are the adaptive ones' */

static json_t *cutoffs_to_json(const struct sru_config *c)
{
    json_t *list = json_array();

    for (size_t i = 0; i < c->n_cutoffs && list; i++)
        if (json_array_append_new(list, json_integer((json_int_t)c->cutoffs[i]))) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static bool cutoffs_from_json(struct sru_config *c, const json_t *list)
{
    if (!json_is_array(list) || json_array_size(list) > SRU_MOST_CUTOFFS)
        return false;
    c->n_cutoffs = json_array_size(list);
    for (size_t i = 0; i < c->n_cutoffs; i++) {
        const json_t *value = json_array_get(list, i);

        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return false;
        c->cutoffs[i] = (size_t)json_integer_value(value);
    }
    return true;
}

static json_t *field_to_json(const struct field *f, const struct sru_config *c)
{
    const char *member = (const char *)c + f->offset;

    switch (f->kind) {
    case SIZE:   return json_integer((json_int_t)*(const size_t *)member);
    case SWITCH: return json_boolean(*(const bool *)member);
    case REAL:   return json_real(*(const double *)member);
    case CUTOFFS: return cutoffs_to_json(c);
    }
    return NULL;
}

json_t *sru_config_to_json(const struct sru_config *c)
{
    json_t *object = json_object();
    const size_t n = c->n_e > 0 ? N_FIELDS : N_PLAIN;

    for (size_t i = 0; i < n && object; i++)
        if (json_object_set_new(object, fields[i].name, field_to_json(&fields[i], c))) {
            json_decref(object);
            return NULL;
        }
    return object;
}

static bool field_from_json(const struct field *f, struct sru_config *c, const json_t *value)
{
    char *member = (char *)c + f->offset;

    switch (f->kind) {
    case SIZE:
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return false;
        *(size_t *)member = (size_t)json_integer_value(value);
        return true;
    case SWITCH:
        *(bool *)member = json_is_true(value);
        return json_is_boolean(value);
    case REAL:
        *(double *)member = json_number_value(value);
        return json_is_number(value);
    case CUTOFFS:
        return cutoffs_from_json(c, value);
    }
    return false;
}

sru_status sru_config_from_json(struct sru_config *c, json_t *object, struct sru_error *err)
{
    const char *key;
    json_t *value;

    *c = (struct sru_config){ 0 };
    if (!json_is_object(object))
        return sru_fail(err, SRU_EFORMAT, "the model's configuration is not a JSON object");
    const size_t n = json_object_get(object, "n_e") ? N_FIELDS : N_PLAIN;
    for (size_t i = 0; i < n; i++) {
        value = json_object_get(object, fields[i].name);
        if (!value)
            return sru_fail(err, SRU_EFORMAT, "the model's configuration has no '%s'", fields[i].name);
        if (!field_from_json(&fields[i], c, value))
            return sru_fail(err, SRU_EFORMAT, "the model's configuration has a '%s' of the wrong type",
                            fields[i].name);
    }
    json_object_foreach(object, key, value) {
        size_t i = 0;

        while (i < n && strcmp(fields[i].name, key) != 0)
            i++;
        if (i == n)
            return sru_fail(err, SRU_EFORMAT, "the model's configuration has a '%.60s' that this version does "
                            "not know", key);
    }
    return SRU_OK;
}

/* ---- Ranges ------------------------------------------------------------------------- */

/* Larger dimensions than any machine holds: with this bound no product of two of them overflows, and
 * oneDNN and CUDA, which count in int, can take them. */
#define MAX_DIMENSION ((size_t)1 << 30)

static sru_status check_sizes(const struct sru_config *c, struct sru_error *err)
{
    const struct { const char *name; size_t value; } sizes[] = {
        { "vocab", c->vocab }, { "n_d", c->n_d }, { "n_proj", c->n_proj }, { "depth", c->depth },
        { "heads", c->heads }, { "attn_every_n_layers", c->attn_every_n_layers }, { "window", c->window }
    };

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].value == 0 || sizes[i].value > MAX_DIMENSION)
            return sru_fail(err, SRU_EINVAL, "%s is %zu: it must be from 1 to %zu", sizes[i].name,
                            sizes[i].value, MAX_DIMENSION);
    return SRU_OK;
}

static sru_status check_adaptive(const struct sru_config *c, struct sru_error *err)
{
    if (c->n_e > MAX_DIMENSION || c->div_val == 0 || c->div_val > MAX_DIMENSION)
        return sru_fail(err, SRU_EINVAL, "n_e is %zu and div_val %zu: they must be from 1 to %zu", c->n_e, c->div_val, MAX_DIMENSION);
    if (c->n_cutoffs == 0 || c->n_cutoffs > SRU_MOST_CUTOFFS)
        return sru_fail(err, SRU_EINVAL, "there are %zu cutoffs: it must be 1 to %d", c->n_cutoffs, SRU_MOST_CUTOFFS);
    for (size_t i = 0; i < c->n_cutoffs; i++)
        if (c->cutoffs[i] <= (i > 0 ? c->cutoffs[i - 1] : 0) || c->cutoffs[i] >= c->vocab)
            return sru_fail(err, SRU_EINVAL, "cutoff %zu: cutoffs must rise, from 1 to below the %zu tokens of the vocabulary",
                            c->cutoffs[i], c->vocab);
    if (sru_config_cluster(c, c->n_cutoffs).e == 0)
        return sru_fail(err, SRU_EINVAL, "n_e is %zu: after %zu divisions by %zu nothing is left of it", c->n_e, c->n_cutoffs, c->div_val);
    if (!(c->emb_dropout >= 0 && c->emb_dropout < 1))
        return sru_fail(err, SRU_EINVAL, "emb_dropout is %g: it must be from 0 to below 1", c->emb_dropout);
    return SRU_OK;
}

sru_status sru_config_check(const struct sru_config *c, struct sru_error *err)
{
    const sru_status status = check_sizes(c, err);

    if (status)
        return status;
    if (c->n_e > 0 && check_adaptive(c, err))
        return SRU_EINVAL;
    if (c->n_proj % c->heads)
        return sru_fail(err, SRU_EINVAL, "heads is %zu: it must divide n_proj, %zu", c->heads, c->n_proj);
    if (c->attn_last_n_layers > c->depth)
        return sru_fail(err, SRU_EINVAL, "attn_last_n_layers is %zu: the model has %zu layers",
                        c->attn_last_n_layers, c->depth);
    if (!(c->dropout >= 0 && c->dropout < 1))
        return sru_fail(err, SRU_EINVAL, "dropout is %g: it must be from 0 to below 1", c->dropout);
    if (!(c->attn_dropout >= 0 && c->attn_dropout < 1))
        return sru_fail(err, SRU_EINVAL, "attn_dropout is %g: it must be from 0 to below 1", c->attn_dropout);
    if (!(fabs(c->highway_bias) <= 100))
        return sru_fail(err, SRU_EINVAL, "highway_bias is %g: it must be from -100 to 100", c->highway_bias);
    return SRU_OK;
}
