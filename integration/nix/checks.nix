# `nix flake check`: lints, the quick tests, every system evaluated, and machines that are really installed.
{ self, nixpkgs, ... }:
system:
let
  inherit (nixpkgs) lib;
  pkgs = nixpkgs.legacyPackages.${system};
  inherit (self.packages.${system}.pxe-appliance) src version;

  cargo =
    name: command:
    pkgs.rustPlatform.buildRustPackage {
      pname = name;
      inherit src version;
      cargoLock.lockFile = ../../Cargo.lock;
      nativeBuildInputs = [
        pkgs.cargo-nextest
        pkgs.clippy
        pkgs.rustfmt
      ]
      ++ import ./tools.nix pkgs;
      buildPhase = ''
        runHook preBuild
        ${command}
        runHook postBuild
      '';
      doCheck = false;
      installPhase = "touch $out";
    };

  # Of this architecture; the other one's are evaluated by its own check. The tests' lab has what hosts/ has no profile for:
  # every kind of disk, every role, other networks for pods, ARM. Its profile `old` is there to be refused.
  lab = removeAttrs (self.lib.systemsFrom ./lab) [ "old" ];
  systems = lib.filterAttrs (_: machine: machine.pkgs.stdenv.hostPlatform.system == system) (
    self.nixosConfigurations
    // lib.concatMapAttrs (name: machine: { "lab/${name}" = machine; }) lab
  );
in
{
  lints = cargo "lints" ''
    cargo fmt --check
    cargo clippy --offline --locked --workspace --all-targets --features integration/lab -- -D warnings
  '';

  # No Nix builds inside of a build: tests that need one say that they are skipped. `integration/test` lets none be skipped.
  tests = cargo "tests" "cargo nextest run --offline --locked --workspace";

  # The derivation of each and of its virtual machine is computed, none is built.
  systems =
    let
      path = built: builtins.unsafeDiscardStringContext built.drvPath;
    in
    pkgs.writeText "systems" (
      lib.concatStrings (
        lib.mapAttrsToList (
          name: machine:
          "${name} ${path machine.config.system.build.toplevel} ${path machine.config.system.build.vm}\n"
        ) systems
      )
    );
}
# Machines are emulated on the architecture that they have.
// lib.optionalAttrs (system == "x86_64-linux") {
  install-uefi = import ./install.nix self pkgs "uefi";
  install-bios = import ./install.nix self pkgs "bios";
}
