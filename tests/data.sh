#!/bin/sh
# data/'s scripts, on small archives that are there already: no network is needed.
set -u
sru=$PWD/sru-lm
data=$(cd "${srcdir:-.}/data" && pwd)
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
checks=0 failures=0
check() { checks=$((checks + 1)); what=$1; shift; "$@" >out 2>&1 || { failures=$((failures + 1)); echo "data.sh: $what"; sed 's/^/    /' out; }; }
says() { checks=$((checks + 1)); grep -q -e "$1" out || { failures=$((failures + 1)); echo "data.sh: $what: does not say '$1'"; sed 's/^/    /' out; }; }
not() { ! "$@"; }
SRU_LM=$sru; export SRU_LM
small='--hidden 32 --projection 8 --layers 2 --batch 2 --unroll 8 --threads 1 --steps 3 --evals 1'

words() { i=0; while [ $i -lt "$1" ]; do echo "line $i of $2 is followed by line $((i + 1))"; i=$((i + 1)); done; }

if command -v zip >/dev/null && command -v unzip >/dev/null; then
    mkdir -p enwik8 && words 200 text >enwik8/enwik8 && (cd enwik8 && zip -q enwik8.zip enwik8 && mv enwik8 ../whole)
    check 'enwik8 of another checksum' not "$data/enwik8"; says 'bytes instead of 36445475'
    check 'enwik8' "$data/enwik8" --unchecked; says 'train --preset enwik8-base'
    check 'its parts are the whole' sh -c 'cat enwik8/train.txt enwik8/valid.txt enwik8/test.txt | head -c 7000 >a; head -c 7000 whole | cmp a -'
    # shellcheck disable=SC2086   # $small is several words
    check 'training on it' "$sru" train --data enwik8 --out r1 $small
    mkdir -p w/wikitext-103; for part in train valid test; do words 100 $part >w/wikitext-103/wiki.$part.tokens; done
    (cd w && zip -q -r wikitext-103-v1.zip wikitext-103 && rm -r wikitext-103)
    check 'WikiText-103 of another size' not "$data/wikitext-103" w; says 'bytes instead of 190229076'
    mkdir -p z && truncate -s 190229076 z/wikitext-103-v1.zip
    check 'WikiText-103 of another checksum' not "$data/wikitext-103" z; says 'another checksum'
    check 'WikiText-103' "$data/wikitext-103" --unchecked w
    # shellcheck disable=SC2086
    check 'training on it' "$sru" train --data w --out r2 $small
else
    echo 'SKIP: no zip here'
fi

name=1-billion-word-language-modeling-benchmark-r13output
mkdir -p b/$name/training-monolingual.tokenized.shuffled b/$name/heldout-monolingual.tokenized.shuffled
for shard in 1 2; do words 100 $shard >b/$name/training-monolingual.tokenized.shuffled/news.en-0000$shard-of-00100; done
for shard in 0 1; do words 9 $shard >b/$name/heldout-monolingual.tokenized.shuffled/news.en.heldout-0000$shard-of-00050; done
(cd b && tar -czf $name.tar.gz $name && rm -r $name)
printf '<S> 9\n<UNK> 8\nline 7\nis 6\nof 5\n' >b/1b_word_vocab.txt
check 'a vocabulary of another checksum' not "$data/billion-word" b; says 'another checksum'
check 'Billion Word' "$data/billion-word" --unchecked b; says '5 different words'
# shellcheck disable=SC2086
check 'training on it' "$sru" train --data b --out r3 $small
check 'an option that there is not' not "$data/billion-word" --uncheked; says Usage
check '--help' "$data/enwik8" --help; says '36 MB'

# An address that nothing answers: what it says, and what it does with the beginning of a file.
cat >lost.sh <<END
set -eu
corpus=lost about=nothing
. "$data/fetch.sh"
arguments "\$@"
fetch some.zip 5 '5 bytes' 0 http://127.0.0.1:9/some.zip
END
check 'no network' not sh lost.sh; says 'is there a network'; says 'http://127.0.0.1:9/some.zip (5 bytes)'
# A download that broke off goes on where it did: what came before is not fetched again.
if command -v curl >/dev/null; then
    sed "s,http://127.0.0.1:9/some.zip,file://$dir/source," lost.sh >found.sh
    printf abcdef >source
    mkdir -p half && printf ABC >half/some.zip.part
    check 'the rest of a download' sh found.sh --unchecked half
    check 'what came before stays' sh -c '[ "$(cat half/some.zip)" = ABCdef ]'
    check 'a download of another size' not sh found.sh whole.d; says 'has 6 bytes instead of 5'
fi
echo "$(((checks - failures) * 100 / checks))%: Checks: $checks, Failures: $failures, Errors: 0"
[ $failures = 0 ]
