/* Model configurations: checks and JSON. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "src/model/config.h"
#include "src/size.h"

struct sru_config sru_config_default(void)
{
    return (struct sru_config){ .heads = 1, .attn_every_n_layers = 1, .attn_layer_norm = true,
                                .highway_bias = -2 };
}

bool sru_config_attends(const struct sru_config *c, size_t layer)
{
    if (c->attn_last_n_layers)
        return c->depth - layer <= c->attn_last_n_layers;
    return (layer + 1) % c->attn_every_n_layers == 0;
}

float sru_config_scale(const struct sru_config *c)
{
    return c->rescale ? (float)sqrt(1 + 2 * exp(c->highway_bias)) : 1;
}

/* ---- Fields by name ----------------------------------------------------------------- */

enum kind { SIZE, SWITCH, REAL };

#define FIELD(kind, member) { #member, kind, offsetof(struct sru_config, member) }
static const struct field {
    const char *name;
    enum kind   kind;
    size_t      offset;
} fields[] = {
    FIELD(SIZE, vocab), FIELD(SIZE, n_d), FIELD(SIZE, n_proj), FIELD(SIZE, depth), FIELD(SIZE, heads),
    FIELD(SIZE, attn_every_n_layers), FIELD(SIZE, attn_last_n_layers), FIELD(SWITCH, layer_norm),
    FIELD(SWITCH, normalize_after), FIELD(SWITCH, attn_layer_norm), FIELD(SWITCH, rescale),
    FIELD(REAL, highway_bias), FIELD(REAL, dropout), FIELD(REAL, attn_dropout), FIELD(SIZE, window)
};
#define N_FIELDS (sizeof fields / sizeof *fields)

static json_t *field_to_json(const struct field *f, const struct sru_config *c)
{
    const char *member = (const char *)c + f->offset;

    switch (f->kind) {
    case SIZE:   return json_integer((json_int_t)*(const size_t *)member);
    case SWITCH: return json_boolean(*(const bool *)member);
    case REAL:   return json_real(*(const double *)member);
    }
    return NULL;
}

json_t *sru_config_to_json(const struct sru_config *c)
{
    json_t *object = json_object();

    for (size_t i = 0; i < N_FIELDS && object; i++)
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
    for (size_t i = 0; i < N_FIELDS; i++) {
        value = json_object_get(object, fields[i].name);
        if (!value)
            return sru_fail(err, SRU_EFORMAT, "the model's configuration has no '%s'", fields[i].name);
        if (!field_from_json(&fields[i], c, value))
            return sru_fail(err, SRU_EFORMAT, "the model's configuration has a '%s' of the wrong type",
                            fields[i].name);
    }
    json_object_foreach(object, key, value) {
        size_t i = 0;

        while (i < N_FIELDS && strcmp(fields[i].name, key) != 0)
            i++;
        if (i == N_FIELDS)
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

sru_status sru_config_check(const struct sru_config *c, struct sru_error *err)
{
    const sru_status status = check_sizes(c, err);

    if (status)
        return status;
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
