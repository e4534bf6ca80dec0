/* Pickles of state_dicts: see pickle.h.  The operations are those of Python's pickle, protocol 2, as pickletools.py describes them. */
#include "config.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "src/io/pickle.h"
#include "src/size.h"

/* ---- Values ------------------------------------------------------------------------------------ */

enum kind { NOTHING, FLAG, NUMBER, TEXT, TUPLE, DICTIONARY, CALLABLE, STORAGE, TENSOR };

/* What may be named: two things that are called, and types of storages. */
static const struct callable {
    const char *module, *name, *dtype;
} callables[] = {
    { "collections", "OrderedDict", NULL }, { "torch._utils", "_rebuild_tensor_v2", NULL },
    { "torch", "FloatStorage", "F32" }, { "torch", "HalfStorage", "F16" }, { "torch", "BFloat16Storage", "BF16" }, { "torch", "DoubleStorage", "F64" },
};
enum { ORDERED_DICT, REBUILD_TENSOR, N_CALLABLES = sizeof callables / sizeof *callables };

/* Values are numbered, and never change but for dictionaries, which gain pairs. */
struct value {
    enum kind kind;
    int64_t number;        /* NUMBER; CALLABLE: which; STORAGE: how many */
    size_t from, n;        /* TEXT: in the pickle; TUPLE: items; TENSOR: in tensors */
    size_t type, key;      /* STORAGE: values */
};

struct pair {
    size_t dictionary, key, value;
};

struct machine {
    const unsigned char *data;
    size_t size, at;
    const char *name;
    struct sru_error *err;

    struct value *values;
    size_t n_values, values_room;
    size_t *stack, depth, stack_room;      /* of values */
    size_t *marks, n_marks, marks_room;    /* depths */
    size_t *memo, memo_room;               /* value + 1, or 0 */
    size_t *items, n_items, items_room;    /* of tuples */
    struct pair *pairs;
    size_t n_pairs, pairs_room;
    struct sru_pt_tensor *tensors;         /* their texts are not their own */
    size_t n_tensors, tensors_room;
};

static sru_status refuse(const struct machine *m, const char *why)
{
    return sru_fail(m->err, SRU_EFORMAT, "%s is not a state_dict of tensors: %s at byte %zu of its pickle", m->name, why, m->at);
}

/* Room for `need` things of a list.  false: no memory. */
static bool reserve(void **list, size_t *room, size_t need, size_t each)
{
    const size_t more = sru_max(need, *room < SIZE_MAX / 4 ? 2 * *room + 16 : need);

    if (need <= *room)
        return true;
    void *larger = more <= SIZE_MAX / each ? realloc(*list, more * each) : NULL;
    if (!larger)
        return false;
    *list = larger;
    *room = more;
    return true;
}
#define RESERVE(m, list, room, need) \
    (reserve((void **)&(m)->list, &(m)->room, need, sizeof *(m)->list) ? SRU_OK : sru_fail((m)->err, SRU_ENOMEM, "out of memory to read %s", (m)->name))

static sru_status push(struct machine *m, size_t value)
{
    const sru_status status = RESERVE(m, stack, stack_room, m->depth + 1);

    if (!status)
        m->stack[m->depth++] = value;
    return status;
}

/* A new value on the stack. */
static sru_status push_new(struct machine *m, struct value v)
{
    const sru_status status = RESERVE(m, values, values_room, m->n_values + 1);

    if (status)
        return status;
    m->values[m->n_values] = v;
    return push(m, m->n_values++);
}

/* Where the mark is that the stack may not be taken below. */
static size_t floor_of(const struct machine *m)
{
    return m->n_marks > 0 ? m->marks[m->n_marks - 1] : 0;
}

static sru_status pop(struct machine *m, size_t *value)
{
    if (m->depth <= floor_of(m))
        return refuse(m, "nothing is left to take");
    *value = m->stack[--m->depth];
    return SRU_OK;
}

static sru_status pop_mark(struct machine *m, size_t *from)
{
    if (m->n_marks == 0)
        return refuse(m, "there is no mark");
    *from = m->marks[--m->n_marks];
    return SRU_OK;
}

static bool is(const struct machine *m, size_t value, enum kind kind)
{
    return m->values[value].kind == kind;
}

/* ---- Reading ------------------------------------------------------------------------------------- */

/* A number of n bytes, lowest first. */
static sru_status take(struct machine *m, size_t n, uint64_t *out)
{
    if (m->size - m->at < n)
        return refuse(m, "it ends");
    *out = 0;
    for (size_t i = 0; i < n; i++)
        *out |= (uint64_t)m->data[m->at++] << 8 * i;
    return SRU_OK;
}

static sru_status push_number(struct machine *m, size_t bytes, bool is_signed)
{
    uint64_t x;
    const sru_status status = take(m, bytes, &x);

    if (status)
        return status;
    if (is_signed && bytes < 8 && bytes > 0 && x >> (8 * bytes - 1))
        x |= UINT64_MAX << 8 * bytes;
    return push_new(m, (struct value){ .kind = NUMBER, .number = (int64_t)x });
}

static sru_status push_text(struct machine *m, size_t length_bytes)
{
    uint64_t n = 0;
    const sru_status status = take(m, length_bytes, &n);

    if (status)
        return status;
    if (n > m->size - m->at)
        return refuse(m, "a text is longer than what is left,");
    m->at += (size_t)n;
    return push_new(m, (struct value){ .kind = TEXT, .from = m->at - (size_t)n, .n = (size_t)n });
}

static bool text_is(const struct machine *m, size_t value, const char *text)
{
    const struct value *v = &m->values[value];

    return v->kind == TEXT && v->n == strlen(text) && memcmp(m->data + v->from, text, v->n) == 0;
}

/* A line, without its end. */
static sru_status take_line(struct machine *m, const char **text, size_t *n)
{
    const unsigned char *end = memchr(m->data + m->at, '\n', m->size - m->at);

    if (!end)
        return refuse(m, "a name does not end");
    *text = (const char *)m->data + m->at;
    *n = (size_t)(end - m->data) - m->at;
    m->at += *n + 1;
    return SRU_OK;
}

/* "module\nname\n" */
static sru_status push_callable(struct machine *m)
{
    const char *module, *name;
    size_t length, n, i = 0;
    sru_status status;

    if ((status = take_line(m, &module, &length)) || (status = take_line(m, &name, &n)))
        return status;
    while (i < N_CALLABLES && !(strlen(callables[i].module) == length && memcmp(callables[i].module, module, length) == 0
                                && strlen(callables[i].name) == n && memcmp(callables[i].name, name, n) == 0))
        i++;
    if (i == N_CALLABLES)
        return sru_fail(m->err, SRU_EFORMAT, "%s is not a state_dict of tensors: it asks for %.*s.%.*s, which is not run", m->name,
                        (int)sru_min(length, 60), module, (int)sru_min(n, 60), name);
    return push_new(m, (struct value){ .kind = CALLABLE, .number = (int64_t)i });
}

/* ---- Tuples, dictionaries --------------------------------------------------------------------------- */

/* A tuple of what lies above `from`. */
static sru_status make_tuple(struct machine *m, size_t from)
{
    const size_t n = m->depth - from;
    const sru_status status = RESERVE(m, items, items_room, m->n_items + n);

    if (status)
        return status;
    for (size_t i = 0; i < n; i++)
        m->items[m->n_items + i] = m->stack[from + i];
    m->depth = from;
    m->n_items += n;
    return push_new(m, (struct value){ .kind = TUPLE, .from = m->n_items - n, .n = n });
}

static sru_status make_small_tuple(struct machine *m, size_t n)
{
    return m->depth - floor_of(m) < n ? refuse(m, "nothing is left to take") : make_tuple(m, m->depth - n);
}

static sru_status make_marked_tuple(struct machine *m)
{
    size_t from = 0;
    const sru_status status = pop_mark(m, &from);

    return status ? status : make_tuple(m, from);
}

/* Pairs above `from` go into the dictionary below them. */
static sru_status set_items(struct machine *m, size_t from)
{
    if (from <= floor_of(m) || (m->depth - from) % 2 != 0 || !is(m, m->stack[from - 1], DICTIONARY))
        return refuse(m, "pairs are not a dictionary's,");
    const sru_status status = RESERVE(m, pairs, pairs_room, m->n_pairs + (m->depth - from) / 2);
    if (status)
        return status;
    for (size_t i = from; i < m->depth; i += 2)
        m->pairs[m->n_pairs++] = (struct pair){ m->stack[from - 1], m->stack[i], m->stack[i + 1] };
    m->depth = from;
    return SRU_OK;
}

static sru_status set_marked_items(struct machine *m)
{
    size_t from = 0;
    const sru_status status = pop_mark(m, &from);

    return status ? status : set_items(m, from);
}

/* ---- Storages, tensors ---------------------------------------------------------------------------------- */

/* ("storage", type, key, "cpu", number of elements) */
static sru_status make_storage(struct machine *m)
{
    size_t of = 0;
    const sru_status status = pop(m, &of);

    if (status)
        return status;
    const struct value *v = &m->values[of];
    if (v->kind != TUPLE || v->n != 5 || !text_is(m, m->items[v->from], "storage") || !is(m, m->items[v->from + 1], CALLABLE)
        || !callables[m->values[m->items[v->from + 1]].number].dtype || !is(m, m->items[v->from + 2], TEXT) || !is(m, m->items[v->from + 4], NUMBER)
        || m->values[m->items[v->from + 4]].number < 0)
        return refuse(m, "a storage is not one");
    return push_new(m, (struct value){ .kind = STORAGE, .number = m->values[m->items[v->from + 4]].number, .type = m->items[v->from + 1],
                                       .key = m->items[v->from + 2] });
}

/* A tuple of numbers, none below 0. */
static bool numbers(const struct machine *m, size_t value, uint64_t out[SRU_PT_MAX_RANK], size_t *n)
{
    const struct value *v = &m->values[value];

    if (v->kind != TUPLE || v->n > SRU_PT_MAX_RANK)
        return false;
    for (size_t i = 0; i < v->n; i++) {
        const struct value *x = &m->values[m->items[v->from + i]];

        if (x->kind != NUMBER || x->number < 0)
            return false;
        out[i] = (uint64_t)x->number;
    }
    *n = v->n;
    return true;
}

/* Do all of a tensor's elements lie in its storage? */
static bool fits(const struct sru_pt_tensor *t)
{
    uint64_t last = t->offset, step;

    for (size_t i = 0; i < t->rank; i++) {
        if (t->shape[i] == 0)
            return true;
        if (__builtin_mul_overflow(t->shape[i] - 1, t->stride[i], &step) || __builtin_add_overflow(last, step, &last))
            return false;
    }
    return last < t->numel;
}

/* _rebuild_tensor_v2(storage, offset, shape, stride, requires_grad, hooks) */
static sru_status make_tensor(struct machine *m, const struct value *args)
{
    struct sru_pt_tensor t = { .name = NULL };
    size_t strides = 0;

    if (args->n < 4)
        return refuse(m, "a tensor is not one");
    const size_t *a = m->items + args->from;
    if (!is(m, a[0], STORAGE) || !is(m, a[1], NUMBER) || m->values[a[1]].number < 0 || !numbers(m, a[2], t.shape, &t.rank)
        || !numbers(m, a[3], t.stride, &strides) || strides != t.rank)
        return refuse(m, "a tensor is not one");
    const struct value *storage = &m->values[a[0]];
    t.dtype = callables[m->values[storage->type].number].dtype;
    t.offset = (uint64_t)m->values[a[1]].number;
    t.numel = (uint64_t)storage->number;
    if (!fits(&t))
        return refuse(m, "a tensor is larger than its storage");
    const sru_status status = RESERVE(m, tensors, tensors_room, m->n_tensors + 1);
    if (status)
        return status;
    m->tensors[m->n_tensors] = t;
    return push_new(m, (struct value){ .kind = TENSOR, .from = m->n_tensors++, .key = storage->key });
}

static sru_status call(struct machine *m)
{
    size_t args, what;
    sru_status status;

    if ((status = pop(m, &args)) || (status = pop(m, &what)))
        return status;
    if (!is(m, what, CALLABLE) || !is(m, args, TUPLE))
        return refuse(m, "something is called that cannot be,");
    if (m->values[what].number == REBUILD_TENSOR)
        return make_tensor(m, &m->values[args]);
    if (m->values[what].number == ORDERED_DICT && m->values[args].n == 0)
        return push_new(m, (struct value){ .kind = DICTIONARY });
    return refuse(m, "something is called that cannot be,");
}

/* A dictionary's own attributes (a module's versions): passed over. */
static sru_status build(struct machine *m)
{
    size_t state;
    const sru_status status = pop(m, &state);

    if (status)
        return status;
    return m->depth > floor_of(m) && is(m, m->stack[m->depth - 1], DICTIONARY) ? SRU_OK : refuse(m, "something is changed that cannot be,");
}

/* ---- The memo ----------------------------------------------------------------------------------------------- */

static sru_status remember(struct machine *m, size_t bytes)
{
    uint64_t i;
    sru_status status = take(m, bytes, &i);

    if (status)
        return status;
    if (i > m->size || m->depth <= floor_of(m))   /* no more are kept than there are bytes */
        return refuse(m, "nothing is there to keep");
    const size_t before = m->memo_room;
    if ((status = RESERVE(m, memo, memo_room, (size_t)i + 1)))
        return status;
    memset(m->memo + before, 0, (m->memo_room - before) * sizeof *m->memo);
    m->memo[i] = m->stack[m->depth - 1] + 1;
    return SRU_OK;
}

static sru_status recall(struct machine *m, size_t bytes)
{
    uint64_t i;
    const sru_status status = take(m, bytes, &i);

    if (status)
        return status;
    return i < m->memo_room && m->memo[i] > 0 ? push(m, m->memo[i] - 1) : refuse(m, "nothing was kept there,");
}

/* ---- Operations ------------------------------------------------------------------------------------------------ */

static sru_status mark(struct machine *m)
{
    const sru_status status = RESERVE(m, marks, marks_room, m->n_marks + 1);

    if (!status)
        m->marks[m->n_marks++] = m->depth;
    return status;
}

static sru_status check_protocol(struct machine *m)
{
    uint64_t version = 0;
    const sru_status status = take(m, 1, &version);

    return status || version == 2 ? status : refuse(m, "its protocol is not 2");
}

static sru_status push_long(struct machine *m)
{
    uint64_t n = 0;
    const sru_status status = take(m, 1, &n);

    if (status)
        return status;
    return n <= 8 ? push_number(m, (size_t)n, true) : refuse(m, "a number is too large");
}

static sru_status operate(struct machine *m, unsigned char operation)
{
    switch (operation) {
    case 0x80: return check_protocol(m);
    case '(':  return mark(m);
    case ')':  return make_tuple(m, m->depth);
    case 't':  return make_marked_tuple(m);
    case 0x85: return make_small_tuple(m, 1);
    case 0x86: return make_small_tuple(m, 2);
    case 0x87: return make_small_tuple(m, 3);
    case '}':  return push_new(m, (struct value){ .kind = DICTIONARY });
    case 's':  return m->depth < 2 ? refuse(m, "nothing is left to take") : set_items(m, m->depth - 2);
    case 'u':  return set_marked_items(m);
    case 'N':  return push_new(m, (struct value){ .kind = NOTHING });
    case 0x88:
    case 0x89: return push_new(m, (struct value){ .kind = FLAG });
    case 'K':  return push_number(m, 1, false);
    case 'M':  return push_number(m, 2, false);
    case 'J':  return push_number(m, 4, true);
    case 0x8a: return push_long(m);
    case 'X':  return push_text(m, 4);
    case 'c':  return push_callable(m);
    case 'Q':  return make_storage(m);
    case 'R':  return call(m);
    case 'b':  return build(m);
    case 'q':  return remember(m, 1);
    case 'r':  return remember(m, 4);
    case 'h':  return recall(m, 1);
    case 'j':  return recall(m, 4);
    default:   return refuse(m, "an operation is not one of those it needs");
    }
}

/* ---- The result --------------------------------------------------------------------------------------------------- */

static char *copy_text(const struct machine *m, size_t value)
{
    const struct value *v = &m->values[value];
    char *text = malloc(v->n + 1);

    if (text) {
        memcpy(text, m->data + v->from, v->n);
        text[v->n] = '\0';
    }
    return text;
}

static sru_status take_tensors(struct machine *m, size_t dictionary, struct sru_pt_tensors *out)
{
    if (!is(m, dictionary, DICTIONARY))
        return refuse(m, "it is no dictionary");
    for (size_t i = 0; i < m->n_pairs; i++) {
        const struct pair *p = &m->pairs[i];

        if (p->dictionary != dictionary)
            continue;
        if (!is(m, p->key, TEXT) || !is(m, p->value, TENSOR))
            return refuse(m, "it has something that is not a tensor");
        if (!(out->items = out->items ? out->items : calloc(m->n_pairs, sizeof *out->items)))
            return sru_fail(m->err, SRU_ENOMEM, "out of memory to read %s", m->name);
        struct sru_pt_tensor *t = &out->items[out->n++];
        *t = m->tensors[m->values[p->value].from];
        t->name = copy_text(m, p->key);
        t->storage = copy_text(m, m->values[p->value].key);
        if (!t->name || !t->storage)
            return sru_fail(m->err, SRU_ENOMEM, "out of memory to read %s", m->name);
    }
    return out->n > 0 ? SRU_OK : refuse(m, "it has no tensors");
}

static sru_status run(struct machine *m, struct sru_pt_tensors *out)
{
    while (m->at < m->size) {
        const unsigned char operation = m->data[m->at++];
        const sru_status status = operation == '.' ? SRU_OK : operate(m, operation);

        if (status)
            return status;
        if (operation == '.')
            return m->depth == 1 && m->n_marks == 0 ? take_tensors(m, m->stack[0], out) : refuse(m, "something is left over");
    }
    return refuse(m, "it ends");
}

sru_status sru_pickle_tensors(const unsigned char *data, size_t size, const char *name, struct sru_pt_tensors *out, struct sru_error *err)
{
    struct machine m = { .data = data, .size = size, .name = name, .err = err };

    *out = (struct sru_pt_tensors){ .n = 0 };
    const sru_status status = run(&m, out);
    if (status)
        sru_pt_tensors_close(out);
    free(m.values);
    free(m.stack);
    free(m.marks);
    free(m.memo);
    free(m.items);
    free(m.pairs);
    free(m.tensors);
    return status;
}

void sru_pt_tensors_close(struct sru_pt_tensors *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->items[i].name);
        free(t->items[i].storage);
    }
    free(t->items);
    *t = (struct sru_pt_tensors){ .n = 0 };
}
