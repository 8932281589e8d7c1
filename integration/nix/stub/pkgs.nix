# What this flake uses of nixpkgs' packages: names that can be told apart, and builders that say what they were given.
lib: system:
let
  package = name: {
    type = "derivation";
    inherit name;
    outPath = "/stub/${name}";
  };
  builder = name: given: package name // given;
  cpu = lib.removeSuffix "-linux" system;

  tools = lib.genAttrs [
    "bash"
    "btrfs-progs"
    "cargo-nextest"
    "clippy"
    "coreutils"
    "cryptsetup"
    "dosfstools"
    "e2fsprogs"
    "gitMinimal"
    "lvm2"
    "mdadm"
    "openssh"
    "qemu_test"
    "rsync"
    "rustfmt"
    "util-linux"
    "xfsprogs"
  ] package;
  ipxe = platform: { override = given: builder "ipxe-${platform}" { inherit given; }; };
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
  pkgsStatic.rustPlatform = rust;

  testers.runNixOSTest = given: builder given.name given;
  OVMF = {
    firmware = "/stub/OVMF/code.fd";
    variables = "/stub/OVMF/vars.fd";
  };

  ipxe = ipxe cpu;
  pkgsCross = {
    gnu64.ipxe = ipxe "x86_64";
    aarch64-multiplatform.ipxe = ipxe "aarch64";
  };
}
