# shellcheck shell=bash
# What every script here needs: where things are, how to speak, which Rust. Sourced, never run.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Everything that can be made again lives outside the checkout, so that a fresh clone starts warm.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/skiff
# shellcheck disable=SC2034 # used by those who source this
VENV=$CACHE/venv

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# A script's help is the comment at its top, so that the two cannot disagree.
help() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; }

# The three boards' names, and what others call them.
ARCHES=(x86_64 arm64 armv7)
rust_target() {
  case $1 in
    x86_64) echo x86_64-unknown-linux-musl ;;
    arm64) echo aarch64-unknown-linux-musl ;;
    armv7) echo armv7-unknown-linux-musleabihf ;;
    *) die "unknown architecture '$1': one of ${ARCHES[*]}" ;;
  esac
}
debian_arch() {
  case $1 in
    x86_64) echo amd64 ;;
    arm64) echo arm64 ;;
    armv7) echo armhf ;;
    *) die "unknown architecture '$1': one of ${ARCHES[*]}" ;;
  esac
}

# rustup's Rust when it is new enough, else Debian's (cargo-web, rustc-web).
rust_is_new_enough() {
  local need have
  need=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml")
  have=$("$1" --version 2>/dev/null | cut -d' ' -f2) && [ -n "$have" ] &&
    [ "$(printf '%s\n' "$need" "$have" | sort -V | head -n1)" = "$need" ]
}
use_rust() {
  if ! rust_is_new_enough cargo; then
    export PATH=/usr/bin:$PATH
    rust_is_new_enough cargo || die "no Rust that is new enough: run scripts/setup build"
  fi
  export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$(warm_target_dir)}
}

# One build directory per Cargo.lock. A new lock starts from a copy of the newest directory (most dependencies are
# still the same), unless that has grown too big; only the newest two are kept.
warm_target_dir() {
  local dir newest stale
  dir=$CACHE/target-$(sha256sum "$ROOT/Cargo.lock" | cut -c1-12)
  newest=$(newest_target_dirs | head -n1)
  if [ ! -d "$dir" ] && [ -n "$newest" ] && [ "$(du -s --block-size=G "$newest" | cut -dG -f1)" -lt 16 ]; then
    cp -a "$newest" "$dir.$$" && mv -T "$dir.$$" "$dir"
  fi
  mkdir -p "$dir" && touch "$dir"
  newest_target_dirs | tail -n +3 | while read -r stale; do rm -rf "$stale"; done
  echo "$dir"
}
newest_target_dirs() { find "$CACHE" -maxdepth 1 -name 'target-*' -printf '%T@ %p\n' 2>/dev/null | sort -rn | cut -d' ' -f2-; }
