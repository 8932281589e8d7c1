# The part in the cluster: what role, network and images of a profile become: rows for tests.nix.
{
  lib,
  # Of the tests' lab.
  systems,
  # Whether nobody set a value.
  absent,
}:
let
  of = name: systems.${name}.config;
  # The system of a profile, with another network for its pods.
  withCni = cni: name: (systems.${name}.extendModules { modules = [ { netboot.k3s = { inherit cni; }; } ]; }).config;
in
{
  "roles of k3s" =
    map
      (name: {
        inherit ((of name).services.k3s) role clusterInit;
      })
      [ "server" "worker" ] == [
        {
          role = "server";
          clusterInit = true;
        }
        {
          role = "agent";
          clusterInit = false;
        }
      ];
  "secrets are files that the agent wrote" =
    let
      files = builtins.readFile ../../netboot/agent/src/files.rs;
      writes = path: builtins.length (builtins.split "\"${lib.removePrefix "/" path}\"" files) > 1;
      k3s = (of "server").services.k3s;
    in
    builtins.all writes [ k3s.tokenFile k3s.agentTokenFile k3s.configPath ];
  "an agent has no agent token file" = absent ((of "worker").services.k3s.agentTokenFile or null);
  "labels reach the kubelet" = (of "worker").services.k3s.nodeLabel == [ "tier=worker" ];
  "ports of an agent" =
    let
      inherit ((of "worker").networking) firewall;
    in
    firewall.allowedTCPPorts == [ 10250 ]
    && firewall.allowedUDPPorts == [ 8472 ]
    && firewall.trustedInterfaces == [ "cni0" "flannel.1" ]
    && firewall.allowedTCPPortRanges == [ ];
  "ports of a server" =
    let
      inherit ((of "server").networking) firewall;
    in
    firewall.allowedTCPPorts == [ 10250 6443 5473 ]
    && firewall.allowedTCPPortRanges == [
      {
        from = 2379;
        to = 2380;
      }
    ];
  "another CNI is one setting" =
    let
      inherit ((of "server").services) k3s;
    in
    k3s.extraFlags == [ "--flannel-backend=none" "--disable-network-policy" ]
    && k3s.manifests.calico.content.spec.chart == "tigera-operator"
    && !(k3s.manifests.calico.content.spec ? values)
    && (builtins.fromJSON k3s.manifests.calico.content.spec.valuesContent).installation.calicoNetwork != { };
  "charts are the first server's to deploy" =
    absent ((withCni "calico" "worker").services.k3s.manifests.calico or null);
  "flannel needs no flags" = (of "worker").services.k3s.extraFlags == [ ];
  "objects declared with a role come beside ours" =
    builtins.attrNames (of "server").services.k3s.manifests == [ "calico" "hello" "netboot-appliance" ];
  "k3s waits for an install" = (of "worker").systemd.services.k3s.unitConfig.ConditionPathExists == "/etc/rancher/k3s/config.yaml";
  "images of k3s come with the system" = builtins.length (of "worker").services.k3s.images == 1;
  "a machine outside of the cluster has no k3s" = !(of "alone").services.k3s.enable;
  "NixOS's reverse path filter is off with Cilium, whose marked packets it would drop, and as it was with others" =
    map (cni: (withCni cni "worker").networking.firewall.checkReversePath) [ "flannel" "cilium" "calico" "none" ]
    == [ true false true true ];
  "networkd leaves the routes and rules of any pod network alone" =
    builtins.all (
      cni:
      (withCni cni "worker").systemd.network.config.networkConfig == {
        ManageForeignRoutes = false;
        ManageForeignRoutingPolicyRules = false;
      }
    ) [ "flannel" "cilium" "calico" "none" ];
  "outside of a cluster the filter and networkd are as NixOS has them" =
    (of "alone").networking.firewall.checkReversePath
    && builtins.all (value: value == null) (
      builtins.attrValues ((of "alone").systemd.network.config.networkConfig or { })
    );
}
