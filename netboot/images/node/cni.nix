# Cilium or Calico instead of k3s's own network: their charts, deployed by k3s when the first server starts.
#
# HelmChart objects rather than `autoDeployCharts`: those are fetched at build, and would be fetched for every cluster
# that does not want them. `bootstrap` lets the job run before there is a pod network.
{ config, lib, ... }:
let
  cfg = config.netboot.k3s;
  # k3s's default for pods; both charts have other ideas.
  pods = "10.42.0.0/16";

  chart = name: spec: {
    apiVersion = "helm.cattle.io/v1";
    kind = "HelmChart";
    metadata = {
      inherit name;
      namespace = "kube-system";
    };
    spec = removeAttrs spec [ "values" ] // {
      bootstrap = true;
      valuesContent = builtins.toJSON spec.values;
    };
  };

  charts = {
    cilium = chart "cilium" {
      repo = "https://helm.cilium.io";
      chart = "cilium";
      version = "1.18.1";
      targetNamespace = "kube-system";
      values = {
        ipam.operator.clusterPoolIPv4PodCIDRList = [ pods ];
        # A homelab's first server is alone for a while; two operators would never both be placed.
        operator.replicas = 1;
      };
    };
    calico = chart "tigera-operator" {
      repo = "https://docs.tigera.io/calico/charts";
      chart = "tigera-operator";
      version = "v3.30.2";
      targetNamespace = "tigera-operator";
      createNamespace = true;
      values.installation.calicoNetwork = {
        containerIPForwarding = "Enabled";
        ipPools = [
          {
            cidr = pods;
            encapsulation = "VXLAN";
          }
        ];
      };
    };
  };
in
{
  config = lib.mkIf (cfg.role == "server-init" && charts ? ${cfg.cni}) {
    services.k3s.manifests.${cfg.cni}.content = charts.${cfg.cni};
  };
}
