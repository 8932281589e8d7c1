# A machine outside of the cluster: NixOS, reachable by ssh, known to the appliance.
{
  netboot.k3s.role = "none";
}
