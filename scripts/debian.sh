# shellcheck shell=bash
# Debian packages of any suite and architecture, unpacked into a folder of their own: nothing on the machine is
# installed or mixed, no package script runs. Sourced, never run; needs shared.sh.

DEBIAN_MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

# An apt of its own, which believes that nothing is installed. Prints the path of its configuration.
debian_apt() {
  local suite=$1 arch=$2 root=$CACHE/apt/$1-$2
  mkdir -p "$root/lists/partial" "$root/archives/partial"
  : >"$root/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $DEBIAN_MIRROR $suite main" >"$root/sources.list"
  cat >"$root/apt.conf" <<CONF
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::Cache "$root";
Dir::Etc::sourcelist "$root/sources.list";
Dir::Etc::sourceparts "-";
Dir::State "$root";
Dir::State::status "$root/status";
CONF
  echo "$root/apt.conf"
}

# debian_unpack FOLDER SUITE ARCH PACKAGE...        just these packages
# debian_unpack_whole FOLDER SUITE ARCH PACKAGE...  with everything that they depend on
debian_unpack() { debian_fetch download "$@"; }
debian_unpack_whole() { debian_fetch "install --download-only -y" "$@"; }

# The folder appears when it is complete, or not at all.
debian_fetch() {
  local how=$1 folder=$2 suite=$3 arch=$4 apt_conf debs package
  shift 4
  apt_conf=$(debian_apt "$suite" "$arch")
  debs=${apt_conf%/*}/archives
  rm -rf "$debs" "$folder.part"
  mkdir -p "$debs/partial"
  debian_empty_root "$folder.part"
  # shellcheck disable=SC2086 # several words
  (cd "$debs" && export APT_CONFIG=$apt_conf && apt-get update && apt-get $how "$@") >"$CACHE/apt.log" 2>&1 ||
    { tail -n 5 "$CACHE/apt.log" >&2; die "cannot fetch $* ($suite, $arch)"; }
  for package in "$debs"/*.deb; do debian_extract "$package" "$folder.part"; done
  rm -rf "$debs"
  mv -T "$folder.part" "$folder"
}
# Debian 12 has its programs and libraries under /usr only; its packages are made so that these links place them there.
debian_empty_root() {
  local dir
  for dir in bin sbin lib lib64; do
    mkdir -p "$1/usr/$dir"
    ln -s "usr/$dir" "$1/$dir"
  done
}
debian_extract() { dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"; }

# The package behind a name like linux-image-arm64, which is empty and depends on today's kernel.
debian_depends() {
  local suite=$1 arch=$2 package=$3 apt_conf
  apt_conf=$(debian_apt "$suite" "$arch")
  APT_CONFIG=$apt_conf apt-get update >/dev/null
  APT_CONFIG=$apt_conf apt-cache depends --important "$package" | awk '/Depends:/ { print $2; exit }'
}
