#!/bin/sh
# The program as a user meets it: every command, what it prints, its exit codes and errors.  Counts like libcheck.
# shellcheck disable=SC2086   # $small and the options of lists are several words
set -u
sru=$PWD/sru-lm score=$PWD/tests/score
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
checks=0 failures=0

fail() { failures=$((failures + 1)); printf 'commands.sh: %s\n' "$*"; [ -s err ] && sed 's/^/    /' err; return 0; }

# expect CODE WHAT COMMAND...: runs it, output to out and err, and checks the exit code.
expect() {
    checks=$((checks + 1)); want=$1 what=$2; shift 2
    "$@" >out 2>err </dev/null
    got=$?
    [ "$got" = "$want" ] || fail "$what: exit code $got instead of $want"
}
# one line on standard error, with these words
says() {
    checks=$((checks + 1))
    { grep -q '^sru-lm' err && [ "$(wc -l <err)" = 1 ]; } || fail "$what: not one line of error"
    for word in "$@"; do
        grep -q -e "$word" err || fail "$what: does not say '$word'"
    done
}
holds() { checks=$((checks + 1)); grep -q -e "$2" "$1" || fail "$what: no '$2' in $1"; }
check() { checks=$((checks + 1)); what=$1; shift; "$@" || fail "$what"; }

i=0
while [ $i -lt 300 ]; do echo "line $i is followed by line $((i + 1)), and so on."; i=$((i + 1)); done >text
small='--hidden 32 --projection 8 --layers 2 --batch 2 --unroll 16 --threads 1'

# ---- help, version, usage
expect 0 '--version' "$sru" --version;              holds out '^sru-lm [0-9]'
expect 0 '--help' "$sru" --help;                    holds out 'generate'
expect 0 'help train' "$sru" help train;            holds out 'Usage: sru-lm train'
expect 2 'no command' "$sru"
expect 2 'unknown command' "$sru" trian;            says "trian" "did you mean 'train'"
for c in train prepare eval generate info import export bench; do
    expect 0 "$c --help" "$sru" $c --help;          holds out "Usage: sru-lm $c"
    expect 2 "$c: unknown option" "$sru" $c --bacth 3; says bacth
    case $c in eval | generate) option=--window ;; bench) option=--seconds ;; prepare) option=--split ;; import | export) option=--out ;; *) option=--batch ;; esac
    expect 2 "$c: option without its argument" "$sru" $c $option; says needs
done
expect 2 'train without data' "$sru" train;         says '--data'
expect 2 'eval without model' "$sru" eval --data text; says MODEL
expect 2 'eval without data' "$sru" eval m;         says '--data'
expect 2 'two models' "$sru" generate a b;          says "'b'"
expect 2 'info of nothing' "$sru" info;             says MODEL

# ---- option values
while read -r option value word; do
    expect 2 "train $option $value" "$sru" train --data text $option "$value"
    says -- "${option#--}" "$word"
done <<'END'
--batch 0 range
--batch -1 whole
--batch 3x whole
--batch 99999999999999999999999 large
--unroll 1.5 whole
--dropout 1 range
--dropout nan number
--lr fast number
--lr -1 small
--time soon time
--time 5y time
--split 90 percentages
--split 90/20 percentages
--optimizer sgd adamw
--preset huge medium
--cpu mmx scalar
--precision f16 bf16
--heads 7 divide
END
expect 2 'steps and time' "$sru" train --data text --steps 3 --time 3s; says '--time'
expect 2 'no steps' "$sru" train --data text --steps 0; says '--steps'
expect 2 'no time' "$sru" train --data text --time 0;   says '--time'
expect 2 'test without valid' "$sru" train --data text --test text; says '--valid'
expect 2 'resume with another model' "$sru" train --resume --hidden 64; says hidden
expect 2 'an operand' "$sru" train text;            says '--data'
expect 2 'top-p' "$sru" generate m --top-p 2;       says top-p

# ---- data
: >empty; printf 'ab' >short
expect 1 'missing data' "$sru" train --data nowhere --out x; says nowhere 'No such file'
expect 1 'empty data' "$sru" train --data empty --out x;     says 'empty is empty'
expect 1 'a directory as data' "$sru" train --data . --out x; says directory
expect 1 'short data' "$sru" train --data short --out x;     says 'too short'
check 'a failed start makes no directory' [ ! -e x ]
expect 1 'resume of nothing' "$sru" train --resume --out x;  says x
expect 1 'resume without a run' "$sru" train --resume --data text --out .; says 'last.safetensors'
expect 1 'out is a file' "$sru" train --data text --out text $small --steps 2; says 'text'

# ---- a run
expect 0 'train' "$sru" train --data text --out run $small --steps 40 --evals 4
holds out 'finished after step 40'; holds out 'test part'
for f in last.safetensors best.safetensors metrics.jsonl; do check "run/$f" [ -s run/$f ]; done
check 'nothing else in the directory' [ "$(find run -type f | wc -l)" = 3 ]
expect 1 'a second run in one directory' "$sru" train --data text --out run $small --steps 2; says '--resume' run
expect 1 'a finished run' "$sru" train --resume --out run;  says finished '--steps'
expect 0 'a longer run' "$sru" train --resume --out run --steps 50; holds out 'finished after step 50'
expect 0 'info of it' "$sru" info run/last.safetensors; holds out 'step *50$'
check 'the longer run ends with an evaluation' sh -c "tail -n 1 run/metrics.jsonl | grep -q '\"step\":50,.*valid_bits\":[0-9]'"

mv run moved
expect 0 'a run that was moved' "$sru" train --resume --out moved --steps 52; holds out 'finished after step 52'
check 'it stays where it is' [ ! -e run ]
mv moved run
latin=$(printf 'caf\351.txt'); cp text "$latin"
expect 0 'a name that is not UTF-8' "$sru" train --data "$latin" --out latin $small --steps 4 --stop-at 2
expect 2 'resumed without it' "$sru" train --resume --out latin; says '--data'
expect 0 'resumed with it' "$sru" train --resume --out latin --data "$latin"

# ---- stopping
# A background job of a shell ignores SIGINT; GNU env undoes that.
signals='HUP TERM'
env --default-signal=INT true 2>/dev/null && signals='HUP TERM INT'
for signal in $signals; do
    set -- "$sru"
    [ $signal = INT ] && set -- env --default-signal=INT "$sru"
    "$@" train --data text --out run-$signal $small --steps 1000000 >out 2>err &
    pid=$!
    n=0; while [ ! -s run-$signal/metrics.jsonl ] && [ $n -lt 300 ]; do sleep 0.1; n=$((n + 1)); done
    kill -$signal $pid; wait $pid; got=$?
    case $signal in HUP) want=129 ;; INT) want=130 ;; *) want=143 ;; esac
    checks=$((checks + 1)); what="signal $signal"
    [ $got = $want ] || fail "stopped: exit code $got instead of $want"
    holds out 'stopped and saved after step'; holds out "sru-lm train --resume --out 'run-$signal'"
done
expect 0 'resume, and stop' "$sru" train --resume --out run-TERM --steps 1000000 --stop-at 1; holds out 'stopped and saved'

# ---- two at once
"$sru" train --data text --out both $small --steps 1000000 >/dev/null 2>&1 &
pid=$!
n=0; while [ ! -s both/metrics.jsonl ] && [ $n -lt 300 ]; do sleep 0.1; n=$((n + 1)); done
expect 1 'two in one directory' "$sru" train --data text --out both $small --steps 2; says 'in use'
kill -TERM $pid; wait $pid

# ---- eval
expect 0 'eval' "$sru" eval run/best.safetensors --data text; holds out 'bits per byte'; holds out 'perplexity'
grep bits out >first
checks=$((checks + 1)); what='eval of standard input'
"$sru" eval run/best.safetensors --data - <text 2>err | grep bits >second; cmp -s first second || fail "$what: differs from the file's"
checks=$((checks + 1)); what='libsru'
ours=$("$sru" eval run/best.safetensors --data text | awk '/nats/ { print $2 }')
theirs=$($score run/best.safetensors text 2>err)
echo "$ours $theirs" | awk 'NF == 2 && ($1 - $2) ^ 2 < 4e-8 { ok = 1 } END { exit !ok }' || fail "$what: '$theirs' where eval says '$ours'"
checks=$((checks + 1)); what='eval --quantize'
rounded=$("$sru" eval run/best.safetensors --data text --quantize int8 | awk '/nats/ { print $2 }')
echo "$ours $rounded" | awk 'NF == 2 && ($2 / $1 - 1) ^ 2 < 2.5e-5 { ok = 1 } END { exit !ok }' || fail "$what: $rounded after $ours"
expect 2 'eval, an unknown quantization' "$sru" eval run/best.safetensors --data text --quantize int7; says quantize
printf 'line \001' >strange
expect 1 'a byte that the model does not know' "$sru" eval run/best.safetensors --data strange; says strange 'byte 5'
expect 1 'one byte' "$sru" eval run/best.safetensors --data /dev/stdin
expect 1 'eval of nothing' "$sru" eval run/best.safetensors --data empty; says empty

# ---- the paper's systems: its numbers of parameters
while read -r preset parameters; do
    expect 0 "info of $preset" "$sru" info --preset "$preset"; holds out "^  parameters  *$parameters\$"
done <<'END'
enwik8-base 107566295
enwik8-large 190607575
enwik8-large-r8 194993815
wt103-base 147676036
wt103-large 231690116
wt103-large-r8 233741476
wt103-large-r8-k5 224884892
lm1b-base 328313803
lm1b-large-k5 465318339
END

# ---- words
expect 0 'prepare' "$sru" prepare --data text --out corpus; holds out 'different words'; holds out 'train --data corpus'
expect 1 'prepare, where a corpus is' "$sru" prepare --data text --out corpus; says 'already holds'
expect 2 'prepare without --out' "$sru" prepare --data text; says '--out'
expect 2 'prepare with two vocabularies' "$sru" prepare --data text --out c2 --words corpus/vocabulary.txt --min-count 2; says '--words'
expect 1 'prepare nothing' "$sru" prepare --data nowhere --out c2; says nowhere
: >nothing
expect 1 'prepare an empty text' "$sru" prepare --data nothing --out c2; says 'nothing is empty'
expect 1 'prepare standard input, split' "$sru" prepare --data - --out c2; says '--valid'
expect 0 'prepare with a vocabulary' "$sru" prepare --data text --out c3 --words corpus/vocabulary.txt
check 'the same corpus' cmp corpus/corpus.safetensors c3/corpus.safetensors
expect 0 'train on a corpus' "$sru" train --data corpus --out words $small --steps 30; holds out perplexity
expect 0 'train on words' "$sru" train --data text --tokens words --out words2 $small --steps 30
check 'a corpus and its text train alike' sh -c 'tail -n 1 words/metrics.jsonl | sed "s/.seconds.*lr//" >a; tail -n 1 words2/metrics.jsonl | sed "s/.seconds.*lr//" >b; cmp a b'
check 'the vocabulary beside the model' cmp words/vocabulary.txt corpus/vocabulary.txt
expect 1 'train on a corpus and a text' "$sru" train --data corpus --valid text --out words3 $small; says '--valid'
expect 0 'adaptive softmax' "$sru" train --data corpus --out words4 $small --cutoffs 20,100 --embedding 16 --divide 2 --steps 10
expect 2 'cutoffs that are none' "$sru" train --data corpus --out words5 $small --cutoffs 20,x; says cutoffs
expect 1 'cutoffs above the words' "$sru" train --data corpus --out words5 $small --cutoffs 20,100000; says 100000
expect 0 'eval of a corpus' "$sru" eval words/best.safetensors --data corpus --part test; holds out 'per word'; holds out 'bits per byte'
expect 2 'eval of an unknown part' "$sru" eval words/best.safetensors --data corpus --part tets; says part
expect 1 'eval of a corpus by another model' "$sru" eval run/best.safetensors --data corpus; says vocabulary
printf 'line 7 is never seen.\n' >unseen
expect 0 'eval of words that are not known' "$sru" eval words/best.safetensors --data unseen
checks=$((checks + 1)); what='libsru, words'
ours=$("$sru" eval words4/best.safetensors --data text | awk '/nats/ { print $2 }')
theirs=$($score words4/best.safetensors text 2>err)
echo "$ours $theirs" | awk 'NF == 2 && ($1 - $2) ^ 2 < 4e-8 { ok = 1 } END { exit !ok }' || fail "$what: '$theirs' where eval says '$ours'"
printf 'line 7 is followed\nby a strange one\n\nline 9' >lines
expect 0 'eval by lines' "$sru" eval words/best.safetensors --data lines --per-line; holds out '^Total: -[0-9.]* OOV: 0'; holds out '^Tokens:.14'
check 'a total for each line' sh -c 'grep -c ^Total: out | grep -q "^4$"'
sed -n 1p out >first; printf 'line 7 is followed' | "$sru" eval words/best.safetensors --data - --per-line | sed -n 1p >second
check 'lines do not matter to each other' cmp first second
expect 0 'bytes by lines' "$sru" eval run/best.safetensors --data text --per-line; holds out '^OOVs:.0'
expect 2 'lines of a corpus' "$sru" eval words/best.safetensors --data corpus --per-line; says 'per-line'
expect 0 'generate words' "$sru" generate words/best.safetensors --tokens 20 --prompt 'line 7'; holds out '^line 7 '

mkdir shards; head -n 150 text >shards/a; tail -n 150 text >shards/b
printf '<S>\n<UNK>\n' >list; grep -v '^<' corpus/vocabulary.txt >>list
expect 0 'prepare sentences of shards' "$sru" prepare --data shards --valid text --words list --sentences --out sentences
expect 0 'train on sentences' "$sru" train --data sentences --out s1 $small --steps 60
expect 0 'a part of it' "$sru" train --data sentences --out s2 $small --steps 60 --stop-at 37
expect 0 'and the rest' "$sru" train --resume --out s2
check 'sentences resume where they were' sh -c 'for d in s1 s2; do tail -n 1 $d/metrics.jsonl | sed "s/.*lr//"; done | uniq | wc -l | grep -q "^1$"'
expect 0 'generate a sentence' "$sru" generate s1/best.safetensors --tokens 20

# ---- PyTorch's files
if "$sru" export run/best.safetensors --out model.pt 2>/dev/null | grep -q wrote; then
    expect 0 'import' "$sru" import model.pt --data text --window 32 --out back.safetensors; holds out 'parameters'
    expect 0 'eval of what was imported' "$sru" eval back.safetensors --data text; grep bits out >second
    "$sru" eval run/best.safetensors --data text --window 32 | grep bits >first
    check 'the model came back' cmp first second
    expect 0 'export words with clusters' "$sru" export words4/best.safetensors --out words.pt
    expect 0 'import them' "$sru" import words.pt --words words4/vocabulary.txt --out back2.safetensors
    expect 1 'import with another text' "$sru" import model.pt --data unseen --out back3.safetensors; says different
    expect 1 'import of no archive' "$sru" import text --data text --out back3.safetensors; says zip
    expect 2 'import without a vocabulary' "$sru" import model.pt --out back3.safetensors; says '--words'
    expect 1 'export to nowhere' "$sru" export run/best.safetensors --out nowhere/model.pt; says nowhere
fi

# ---- generate
expect 0 'generate' "$sru" generate run/best.safetensors --seed 3 --tokens 100 --prompt 'line '
check 'as many bytes as asked for' [ "$(wc -c <out)" = 105 ]
cp out first
expect 0 'generate again' "$sru" generate run/best.safetensors --seed 3 --tokens 100 --prompt 'line '
check 'the same seed gives the same text' cmp -s out first
expect 0 'another seed' "$sru" generate run/best.safetensors --seed 4 --tokens 100 --prompt 'line '
check 'another seed another text' sh -c '! cmp -s out first'
expect 0 'greedy' "$sru" generate run/best.safetensors --temperature 0 --tokens 30 --prompt line; cp out first
expect 0 'top-k 1' "$sru" generate run/best.safetensors --top-k 1 --tokens 30 --prompt line
check 'top-k 1 is the most likely' cmp -s out first
expect 0 'top-p 0' "$sru" generate run/best.safetensors --top-p 0 --tokens 30 --prompt line
check 'top-p 0 is the most likely' cmp -s out first
expect 0 'one thread as many' "$sru" generate run/best.safetensors --temperature 0 --tokens 30 --prompt line --threads 2
check 'threads do not change the text' cmp -s out first
expect 0 'one text of several' "$sru" generate run/best.safetensors --seed 8 --tokens 40 --prompt line; cp out first; echo >>first
expect 0 'several texts' "$sru" generate run/best.safetensors --seed 6 --tokens 40 --prompt line --batch 3; holds out '^==> seed 6 <==$'
check 'each text is that of its seed' sh -c "sed '1,/seed 8/d' out | cmp -s - first"
check 'as many texts as asked for' [ "$(grep -c '^==> seed' out)" = 3 ]
expect 2 'no text' "$sru" generate run/best.safetensors --batch 0; says batch
expect 0 'int8' "$sru" generate run/best.safetensors --quantize int8 --tokens 30 --prompt line --seed 1
check 'as many bytes in int8' [ "$(wc -c <out)" = 34 ]
expect 2 'an unknown quantization' "$sru" generate run/best.safetensors --quantize int7; says quantize int7 int8
expect 1 'an unknown byte in the prompt' "$sru" generate run/best.safetensors --prompt 'line%'; says 'prompt' "'%'"
if [ -w /dev/full ]; then
    checks=$((checks + 1)); what='full disk'
    "$sru" generate run/best.safetensors >/dev/full 2>err; [ $? = 1 ] || fail "$what: not 1"
    says 'No space'
fi

# ---- info
expect 0 'info' "$sru" info run/last.safetensors;   holds out 'parameters'; holds out 'memory to train, 2 streams of 16'
expect 0 'info of a preset' "$sru" info --preset small; holds out 'memory to train'
expect 2 'info of an unknown preset' "$sru" info --preset huge; says huge

# ---- bench
brief='--seconds 0.001 --threads 1'
expect 0 'bench' "$sru" bench $brief tiny;          holds out 'all of a step'; holds out 'tokens/s'
check 'a step takes the time of its operators' awk '/^  the rest/ { inside = 0 } inside { sum += $(NF - 3) + $(NF - 2) }
    /^  operator/ { inside = 1 } END { exit !(sum > 80 && sum < 100.6) }' out
expect 0 'bench as JSON' "$sru" bench $brief --json tiny
check 'one JSON object' awk '
    { text = text $0 "\n" }
    END {
        gsub(/"([^"\\]|\\.)*"/, "s", text); gsub(/-?[0-9][0-9.eE+-]*|true|false|null/, "v", text); gsub(/[ \n]/, "", text)
        gsub(/s:/, ":", text); gsub(/s/, "v", text)
        while (gsub(/\{(:v(,:v)*)?\}|\[(v(,v)*)?\]/, "v", text)) if (text == "v") exit 0
        exit 1
    }' out
for key in machine memory matmul_2048 presets training operators recurrence generation; do holds out "\"$key\""; done
expect 2 'bench of an unknown preset' "$sru" bench tiny huge; says huge medium
expect 0 'bench of an optimizer' "$sru" bench $brief --optimizer adamw tiny
check 'it and no other' awk '/^  muon/ { exit 1 }' out
expect 2 'bench of an unknown optimizer' "$sru" bench --optimizer sgd tiny; says sgd muon
expect 2 'bench without time' "$sru" bench --seconds 0; says seconds

# ---- broken models
for c in 'eval --data text' generate info; do
    set -- $c; command=$1; shift
    expect 1 "$command: missing model" "$sru" "$command" nowhere "$@";  says nowhere
    expect 1 "$command: a directory" "$sru" "$command" run "$@";        says directory best.safetensors
    expect 1 "$command: an empty model" "$sru" "$command" empty "$@";   says empty
    expect 1 "$command: a text as model" "$sru" "$command" text "$@";   says text
    head -c 3000 run/best.safetensors > half
    expect 1 "$command: half a model" "$sru" "$command" half "$@";       says half
done
head -c 3000 run/last.safetensors > half; cp half run/last.safetensors
expect 1 'resume of half a checkpoint' "$sru" train --resume --out run; says last.safetensors

[ $checks -gt 150 ] || failures=$((failures + 1))   # the file was cut short
echo "$(((checks - failures) * 100 / checks))%: Checks: $checks, Failures: $failures, Errors: 0"
[ $failures = 0 ]
