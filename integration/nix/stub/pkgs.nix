# What this flake uses of nixpkgs' packages: names that can be told apart, and builders that say what they were given.
lib: system:
let
  package = name: {
    type = "derivation";
    inherit name;
    outPath = "/stub/${name}";
    # What evaluates a flake asks for a path of the store, and no more.
    drvPath = "${builtins.storeDir}/00000000000000000000000000000000-${name}.drv";
  };
  # The inputs are looked at as a build would, so that none is missing.
  builder =
    name: given:
    builtins.deepSeq (map (input: input.name) (given.packages or [ ] ++ given.nativeBuildInputs or [ ])) (
      package name // given
    );
  cpu = lib.removeSuffix "-linux" system;

  tools = lib.genAttrs [
    "atftp"
    "bash"
    "btrfs-progs"
    "busybox"
    "cargo"
    "cargo-nextest"
    "clippy"
    "coreutils"
    "coreutils-full"
    "cpio"
    "cryptsetup"
    "curl"
    "dhcpcd"
    "dnsmasq"
    "dosfstools"
    "e2fsprogs"
    "git"
    "gnugrep"
    "gptfdisk"
    "gitMinimal"
    "grub2"
    "hello"
    "iproute2"
    "jq"
    "kea"
    "kmod"
    "linux"
    "lvm2"
    "lz4"
    "mdadm"
    "nftables"
    "nix"
    "openssh"
    "openssl"
    "parted"
    "qemu_kvm"
    "qemu_test"
    "rsync"
    "rustc"
    "rustfmt"
    "swtpm"
    "systemd"
    "systemdMinimal"
    "tcpdump"
    "tftp-hpa"
    "tpm2-tss"
    "util-linux"
    "xfsprogs"
    "xz"
    "zstd"
  ] package;
  ipxe = platform: package "ipxe-${platform}" // { override = given: builder "ipxe-${platform}" { inherit given; }; };
  rust = {
    buildRustPackage = given: builder given.pname given;
  };
in
tools
// {
  inherit lib;
  stdenv.hostPlatform = {
    inherit system;
    isx86_64 = cpu == "x86_64";
    isx86 = cpu == "x86_64";
    isAarch64 = cpu == "aarch64";
    parsed.cpu.name = cpu;
  };

  writeText = name: text: builder name { inherit text; };
  writers.makeScriptWriter = _: name: text: builder (baseNameOf name) { inherit text; };
  writeShellScript = name: text: builder name { inherit text; };
  runCommand =
    name: environment: script:
    builder name (environment // { inherit script; });
  linkFarm = name: entries: builder name { inherit entries; };
  formats.toml = _: {
    type = lib.types.anything;
    generate = name: value: builder name { inherit value; };
  };

  rustPlatform = rust;
  pkgsStatic = {
    rustPlatform = rust;
    busybox = package "busybox-static";
  };
  glibc.static = package "glibc-static";
  mkShell = given: builder "shell" given;

  dockerTools.buildImage = given: builder "docker-image-${given.name}.tar.gz" (removeAttrs given [ "name" ]);

  testers.runNixOSTest = given: builder given.name given;
  OVMF = {
    fd = "/stub/OVMF";
    firmware = "/stub/OVMF/code.fd";
    variables = "/stub/OVMF/vars.fd";
  };

  ipxe = ipxe cpu;
  pkgsCross.aarch64-multiplatform.ipxe = ipxe "aarch64";
}
