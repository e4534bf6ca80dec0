#!/bin/sh
# man/sru-lm.1 and --help say the same: every option of every command stands in its section of the page, and no other.
set -u
sru=./sru-lm
page=${srcdir:-.}/man/sru-lm.1
checks=0 failures=0
list=$(mktemp) && listed=$(mktemp) || exit 1
trap 'rm -f "$list" "$listed"' EXIT

for c in train prepare eval generate info import export bench; do
    checks=$((checks + 1))
    $sru $c --help | sed -n 's/^ \{2,6\}\(-[a-z], \)\{0,1\}--\([a-z0-9-]*\).*/\2/p' | sort >"$list"
    # the section from ".SS sru-lm COMMAND" to the next heading
    sed -n "/^\.SS .*sru-lm $c/,/^\.S[HS] /p" "$page" | sed '1!{/^\.S[HS]/d;}' | sed 's/\\-/-/g' |
        sed -n 's/^\.BR* .*--\([a-z0-9-]*\).*/\1/p' | sort -u >"$listed"
    if ! [ -s "$list" ] || ! cmp -s "$list" "$listed"; then
        failures=$((failures + 1)); echo "$c: --help and the manual differ:"; diff "$list" "$listed"
    fi
done
checks=$((checks + 1))
if command -v man >/dev/null && [ -n "$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)" ]; then
    failures=$((failures + 1)); echo "groff warns about $page"
fi
echo "$(((checks - failures) * 100 / checks))%: Checks: $checks, Failures: $failures, Errors: 0"
[ $failures = 0 ]
