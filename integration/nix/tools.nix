# What `integration/demo` and the tests run, besides the compiler.
pkgs: with pkgs; [
  atftp
  tftp-hpa # before busybox, which has a `tftp` of its own
  busybox
  cpio
  curl
  dhcpcd
  dnsmasq
  dosfstools
  e2fsprogs
  iproute2
  jq
  kea
  kmod
  lz4
  nftables
  nix
  openssh
  openssl
  qemu_kvm
  socat
  systemd
  tcpdump
  util-linux
  xz
  zstd
]
