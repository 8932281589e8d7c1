# hosts/ → one NixOS system for each profile, and one for each machine that has modules of its own.
#
# A profile's machines share a system: no name and no address is built into it, the install brings them. Next to
# profiles/, `common.nix` is part of every system if it is there.
{
  self,
  nixpkgs,
  disko,
  ...
}:
hosts:
let
  inherit (nixpkgs) lib;

  # `.#draft.toml` is an editor's, not ours.
  files = lib.filter (file: lib.hasSuffix ".toml" file && !lib.hasPrefix "." file) (
    builtins.attrNames (builtins.readDir (hosts + "/profiles"))
  );
  profiles = lib.genAttrs (map (lib.removeSuffix ".toml") files) (
    name: builtins.fromTOML (builtins.readFile (hosts + "/profiles/${name}.toml"))
  );

  # A module that a profile names: the user's own, else one that comes with this flake.
  module =
    profile: path:
    if builtins.pathExists (hosts + "/${path}") then
      hosts + "/${path}"
    else if builtins.pathExists (self + "/hosts/${path}") then
      self + "/hosts/${path}"
    else
      throw ''
        hosts/profiles/${profile}.toml names the module `${path}`, which does not exist
        tip: git add hosts/${path}'';

  role =
    written:
    let
      name = written.k3s.role or "none";
    in
    if name == "none" then "roles/plain.nix" else "roles/k3s-${name}.nix";

  # `own`: the modules that one machine has besides its profile's.
  system =
    {
      name,
      profile,
      own,
    }:
    let
      written = profiles.${profile};
    in
    nixpkgs.lib.nixosSystem {
      modules = [
        self.nixosModules.node
        {
          nixpkgs.hostPlatform = written.system;
          system.name = name;
          boot.kernelParams = written.nixos.kernel-params or [ ];
          netboot = {
            swap = written.disk.swap or null;
            k3s.labels = written.k3s.labels or { };
          }
          // (
            if written.disk ? devices then
              {
                inherit (written.disk) devices;
                engine = written.disk.engine or "plan";
              }
            else
              { inherit (written.disk) layout; }
          );
        }
      ]
      ++ map (module profile) ([ (role written) ] ++ (written.nixos.modules or [ ]) ++ own)
      ++ lib.optional (builtins.pathExists (hosts + "/common.nix")) (hosts + "/common.nix");
    };

  ofProfiles = lib.mapAttrs (
    name: _:
    system {
      inherit name;
      profile = name;
      own = [ ];
    }
  ) profiles;
  ofMachines = lib.concatMapAttrs (
    profile: written:
    lib.listToAttrs (
      map (
        { name, modules, ... }:
        lib.nameValuePair name (system {
          inherit name profile;
          own = modules;
        })
      ) (lib.filter (machine: machine.modules or [ ] != [ ]) (written.machine or [ ]))
    )
  ) profiles;

  twice = builtins.attrNames (builtins.intersectAttrs ofProfiles ofMachines);
in
if twice != [ ] then
  throw ''
    a machine with modules of its own has the name of a profile: ${toString twice}
    tip: give the machine another name in hosts/profiles''
else
  ofProfiles // ofMachines
