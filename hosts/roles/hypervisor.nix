# Virtual machines beside the cluster, or alone: KVM, libvirtd, and a bridge that puts guests onto the LAN.
#
# In a profile: modules = ["roles/hypervisor.nix"]
{
  virtualisation.libvirtd = {
    enable = true;
    # Guests are shut down with the machine, not left to its power switch.
    onShutdown = "shutdown";
  };
  # KVM needs no line here: udev loads the module that fits the processor.

  systemd.network = {
    netdevs."30-br0" = {
      netdevConfig = {
        Name = "br0";
        Kind = "bridge";
        # Its first port's, which is the one that the DHCP server knows this machine by.
        MACAddress = "none";
      };
      # Every card becomes a port: two cables into one switch would be a loop, in which one broadcast fills the LAN. With the
      # spanning tree the second cable waits until the first is gone. The times are the shortest that IEEE 802.1D allows
      # together: a port, a guest's too, works eight seconds after it came up, instead of thirty. (A switch that neither
      # takes part nor passes the tree's packets on hides the loop: one cable only into such a switch.)
      bridgeConfig = {
        STP = true;
        HelloTimeSec = 2;
        MaxAgeSec = 6;
        ForwardDelaySec = 4;
        # Where the switches of the house have a spanning tree, one of them is its root.
        Priority = 61440;
      };
    };
    # Without this udev would make up an address before a port is there to give one.
    links."30-br0" = {
      matchConfig.OriginalName = "br0";
      linkConfig.MACAddressPolicy = "none";
    };
    # The cards become ports; the address moves to the bridge.
    networks."40-lan" = {
      networkConfig = {
        DHCP = "no";
        Bridge = "br0";
      };
      linkConfig.RequiredForOnline = "enslaved";
    };
    networks."50-br0" = {
      matchConfig.Name = "br0";
      networkConfig.DHCP = "yes";
      dhcpV4Config.ClientIdentifier = "mac";
      linkConfig.RequiredForOnline = "routable";
    };
  };
}
