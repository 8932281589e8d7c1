# What `integration/demo` and the tests run, besides the compiler.
pkgs: with pkgs; [
  atftp
  tftp-hpa # before busybox, which has a `tftp` of its own
  btrfs-progs
  busybox
  cpio
  cryptsetup
  curl
  dhcpcd
  dnsmasq
  dosfstools
  e2fsprogs
  git
  grub2
  iproute2
  jq
  kea
  kmod
  lvm2
  lz4
  mdadm
  nftables
  nix
  openssh
  openssl
  qemu_kvm
  swtpm
  systemd
  tcpdump
  util-linux
  xfsprogs
  xz
  zstd
]
