# shellcheck shell=bash
# How a static musl binary is compiled and linked, the same way on every machine and from every folder. Sourced, never
# run; needs shared.sh and use_rust.
#
# zig is the C compiler and the linker for every target. The standard library is rustup's where rustup can add the
# target; elsewhere Debian's Rust compiles it from Debian's rust-web-src.

# cross_build TARGET TARGET_DIR SOURCES: builds SOURCES' skiff with symbols and prints where it is.
cross_build() (
  local target=$1 target_dir=$2 sources=$3 cargo_home=${CARGO_HOME:-$HOME/.cargo} options flags rust_src patched
  # Line tables cost nothing in the stripped binary and turn a backtrace from the field into lines.
  options=(--locked --release --package skiff --target "$target" --target-dir "$target_dir"
    --config 'profile.release.strip="none"' --config 'profile.release.debug="line-tables-only"')
  flags=()
  if ! has_rustup_target "$target"; then
    "$ROOT/scripts/setup" std-sources
    export PATH=/usr/bin:$PATH RUSTC=/usr/bin/rustc CARGO=/usr/bin/cargo
    # Only a nightly cargo builds the standard library, unless told that this one counts as nightly.
    export RUSTC_BOOTSTRAP=1
    options+=("-Zbuild-std=std,panic_abort")
    flags+=(-Clink-self-contained=no)
  fi
  rust_src=$(rustc --print sysroot)/lib/rustlib/src/rust
  if [[ $target == armv7* ]]; then
    patched=$(patched_libcontainer "$sources" "$cargo_home")
    [ -z "$patched" ] || options+=(--config "paths=['$patched']")
  fi

  # No folder of this machine may show in the binary.
  flags+=("--remap-path-prefix=$rust_src=/rust" "--remap-path-prefix=$cargo_home=/cargo"
    "--remap-path-prefix=$CACHE=/cache" "--remap-path-prefix=$target_dir=/target" "--remap-path-prefix=$sources=/skiff")
  export CFLAGS="-ffile-prefix-map=$cargo_home=/cargo -ffile-prefix-map=$target_dir=/target"
  export CARGO_ENCODED_RUSTFLAGS PATH=$VENV/bin:$PATH
  CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo "${flags[*]}")
  cd "$sources" || exit
  cargo-zigbuild zigbuild "${options[@]}" >&2
  echo "$target_dir/$target/release/skiff"
)

has_rustup_target() {
  [ "$(type -P cargo)" != /usr/bin/cargo ] && type -P rustup >/dev/null || return 1
  rustup target list --installed 2>/dev/null | grep -qx "$1" || rustup target add "$1" >/dev/null 2>&1
}

# libcontainer compares a constant of the wrong width on 32-bit boards: this prints where a mended copy is, for the build
# to read in its place, or nothing when SOURCES do not use it.
patched_libcontainer() {
  local sources=$1 cargo_home=$2 version copy original
  version=$(awk -F'"' '/^name = "libcontainer"$/ { getline; print $2 }' "$sources/Cargo.lock")
  [ -n "$version" ] || return 0
  copy=$CACHE/patched/libcontainer-$version
  if [ ! -d "$copy" ]; then
    (cd "$sources" && cargo fetch --locked --quiet)
    original=$(echo "$cargo_home"/registry/src/*/"libcontainer-$version")
    rm -rf "$copy.part"
    mkdir -p "${copy%/*}"
    cp -a "$original" "$copy.part"
    sed -i 's/^const DEVPTS_SUPER_MAGIC: u64/const DEVPTS_SUPER_MAGIC: std::ffi::c_ulong/' "$copy.part/src/tty.rs"
    ! cmp -s "$original/src/tty.rs" "$copy.part/src/tty.rs" || die "libcontainer $version needs another patch, or none"
    mv -T "$copy.part" "$copy"
  fi
  echo "$copy"
}
