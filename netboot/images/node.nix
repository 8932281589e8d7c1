# nixosModules.node: a NixOS system that the appliance can install on any machine of its architecture.
#
# What makes one machine different from the next (name, keys, tokens, where the cluster is) is written onto its disk by
# the agent, and this system reads it there.
{ self, disko, ... }:
{
  config,
  lib,
  pkgs,
  ...
}:
{
  imports = [
    disko.nixosModules.disko
    ./node/boot.nix
    ./node/k3s.nix
    ./node/network.nix
    ./node/report.nix
    ./node/script.nix
    ./node/unlock.nix
    ./node/zfs.nix
  ];

  options.netboot.agent = lib.mkOption {
    type = lib.types.package;
    default = self.packages.${pkgs.stdenv.hostPlatform.system}.netboot-agent;
    defaultText = lib.literalMD "`netboot-agent` of this flake";
    description = "The package with the agent that reports what this node runs.";
  };

  config = {
    # An empty name leaves /etc/hostname alone, which the agent wrote.
    networking.hostName = "";

    # Drivers and firmware for disks and network cards of any machine, since it is not known which one this becomes.
    hardware.enableAllHardware = true;
    hardware.enableRedistributableFirmware = lib.mkDefault true;

    # The agent makes this key at install, so that the appliance can tell what the machine's key is.
    services.openssh = {
      enable = true;
      # Keyboard-interactive is a password by another name.
      settings = {
        PasswordAuthentication = false;
        KbdInteractiveAuthentication = false;
      };
      hostKeys = [
        {
          type = "ed25519";
          path = "/etc/ssh/ssh_host_ed25519_key";
        }
      ];
    };

    nix = {
      # The appliance's cache and its key, as this machine was told them at install.
      extraOptions = "!include /etc/nix/netboot.conf";
      settings = {
        experimental-features = [
          "nix-command"
          "flakes"
        ];
        # An appliance that is off must not stop a node from building or fetching elsewhere.
        connect-timeout = 5;
        fallback = true;
      };
    };

    # `nix build .#nixosConfigurations.NAME.config.system.build.vm`: a look at the system, without appliance or cluster.
    virtualisation.vmVariant = {
      netboot.firmware = lib.mkForce "none";
      users.users.root.initialHashedPassword = "";
      services.getty.autologinUser = "root";
    };

    system.stateVersion = lib.mkDefault "26.05";
  };
}
