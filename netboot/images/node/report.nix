# At every boot the agent tells the appliance which generation runs; that is what makes a machine `running`.
{ config, ... }:
{
  environment.systemPackages = [ config.netboot.agent ];

  systemd.services.netboot-report = {
    description = "Report to the appliance which generation runs";
    wantedBy = [ "multi-user.target" ];
    wants = [ "network-online.target" ];
    after = [ "network-online.target" ];
    # A system that was not installed by an appliance has nobody to tell.
    unitConfig.ConditionPathExists = "/var/lib/netboot/node.json";
    serviceConfig = import ../hardened.nix // {
      # It waits for the appliance as long as it takes; the boot does not wait for it.
      Type = "exec";
      ExecStart = "${config.netboot.agent}/bin/netboot-agent report";

      # It reads /var/lib/netboot and links, and speaks to one address.
      CapabilityBoundingSet = "";
      RestrictAddressFamilies = [
        "AF_INET"
        "AF_INET6"
        "AF_UNIX"
      ];
    };
  };
}
