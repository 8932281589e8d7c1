# The network units of a hypervisor as NixOS would write them, by file name: for systemd-networkd's own opinion of them.
let
  lib = import ./stub/lib.nix;
  inherit (import ./stub/outputs.nix { inherit lib; }) flake;
  inherit ((flake.lib.systemsFrom ./lab).alone.config.systemd) network;

  word = value: if builtins.isBool value then lib.boolToString value else toString value;
  section =
    name: keys:
    let
      set = lib.filterAttrs (_: value: value != null) keys;
    in
    if set == { } then
      ""
    else
      "[${name}]\n" + lib.concatStrings (lib.mapAttrsToList (key: value: "${key}=${word value}\n") set);
  files =
    ending: write: units:
    lib.concatMapAttrs (name: unit: { "${name}.${ending}" = write unit; }) units;
in
files "netdev" (
  unit: section "NetDev" unit.netdevConfig + section "Bridge" unit.bridgeConfig
) network.netdevs
// files "link" (
  unit: section "Match" unit.matchConfig + section "Link" unit.linkConfig
) network.links
// files "network" (
  unit:
  section "Match" unit.matchConfig
  + section "Link" unit.linkConfig
  + section "Network" unit.networkConfig
  + section "DHCPv4" unit.dhcpV4Config
) network.networks
