# What the scripts of corpora share.  Sourced by them, with $corpus set; sets $dir, $sru and $checked.

say() { printf '%s: %s\n' "$corpus" "$*" >&2; }
die() { say "$*"; exit 1; }

# The command line: [--unchecked] [DIR]
arguments() {
    checked=yes
    [ "${1:-}" != --unchecked ] || { checked=no; shift; }
    case ${1:-} in
    -*) usage; [ "$1" = --help ] && exit 0; exit 2 ;;
    esac
    dir=${1:-$corpus}
    sru=${SRU_LM:-sru-lm}
    mkdir -p "$dir" || exit 1
}

usage() {
    cat >&2 <<END
Usage: $0 [--unchecked] [DIR]
$about
DIR (default: $corpus) is where it goes.  An archive that is in DIR already is taken; a download that broke off goes on.
--unchecked takes an archive whatever its size and checksum.  \$SRU_LM is the program to use (default: sru-lm).
END
}

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || die "'$tool' is needed and not here"
    done
}

size_of() { wc -c <"$1" | tr -d ' '; }

sha256_of() {
    if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

# git's name of a file's contents, where that is what a publisher gives.
blob_of() {
    if command -v sha1sum >/dev/null; then sha1=sha1sum; else sha1='shasum -a 1'; fi
    { printf 'blob %s\0' "$(size_of "$1")"; cat "$1"; } | $sha1 | cut -d ' ' -f 1
}

# check FILE SIZE SUM: a sum of 64 digits is SHA-256; one of 40 is git's, which the size is a part of: 0 leaves it to that.
check() {
    [ $checked = yes ] || return 0
    [ "$2" = 0 ] || [ "$(size_of "$1")" = "$2" ] || die "$1 has $(size_of "$1") bytes instead of $2: remove it, and run this again"
    if [ ${#3} = 40 ]; then sum=$(blob_of "$1"); else sum=$(sha256_of "$1"); fi
    [ "$sum" = "$3" ] || die "$1 has another checksum than it should: $sum instead of $3; remove it, and run this again"
}

# download URL FILE: into FILE.part, from where that ends.
download() {
    if command -v curl >/dev/null; then
        curl -fL --connect-timeout 20 -C - -o "$2.part" "$1"
    elif command -v wget >/dev/null; then
        wget -c --connect-timeout=20 -O "$2.part" "$1"
    else
        die "neither curl nor wget is here: fetch $1 by other means, as $2"
    fi && mv "$2.part" "$2"
}

# fetch NAME SIZE WHAT SUM URL...: DIR/NAME, from the first of the addresses that has it.
fetch() {
    file=$dir/$1 size=$2 what=$3 sum=$4
    shift 4
    if [ -f "$file" ]; then
        say "taking $file, which is there already"
    else
        for url in "$@"; do
            say "fetching $url ($what)"
            download "$url" "$file" && break
        done
        [ -f "$file" ] || die "cannot fetch it: is there a network?  What came so far is kept, and this goes on from there.  Or fetch $url by other means, as $file"
    fi
    check "$file" "$size" "$sum"
}
