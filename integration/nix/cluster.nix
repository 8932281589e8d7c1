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
      [ "server" "joined" "worker" "board" ] == [
        {
          role = "server";
          clusterInit = true;
        }
        {
          role = "server";
          clusterInit = false;
        }
        {
          role = "agent";
          clusterInit = false;
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
  "a further server has the agents' token as well, to hand it on" =
    (of "joined").services.k3s.agentTokenFile == (of "server").services.k3s.agentTokenFile;
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
  "ports of a server with Cilium" =
    let
      inherit ((of "joined").networking) firewall;
    in
    firewall.allowedTCPPorts == [ 10250 6443 4240 ]
    && firewall.allowedUDPPorts == [ 8472 ]
    && builtins.elem "lxc+" firewall.trustedInterfaces
    && builtins.length firewall.allowedTCPPortRanges == 1;
  "an agent with Cilium opens what its nodes use, and needs no flags" =
    let
      inherit (of "board") networking services;
    in
    networking.firewall.allowedTCPPorts == [ 10250 4240 ] && services.k3s.extraFlags == [ ];
  "Cilium takes the place of k3s's own network on every server, and comes from the first" =
    let
      first = (systems.joined.extendModules {
        modules = [ { netboot.k3s.role = lib.mkForce "server-init"; } ];
      }).config.services.k3s;
      values = builtins.fromJSON first.manifests.cilium.content.spec.valuesContent;
    in
    (of "joined").services.k3s.extraFlags == [ "--flannel-backend=none" "--disable-network-policy" ]
    && absent ((of "joined").services.k3s.manifests.cilium or null)
    && first.manifests.cilium.content.spec.chart == "cilium"
    && first.manifests.cilium.content.spec.bootstrap
    && values.ipam.operator.clusterPoolIPv4PodCIDRList == [ "10.42.0.0/16" ];
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
  "charts declared with a role reach k3s as they are" =
    let
      inherit ((of "server").services.k3s) autoDeployCharts;
      inherit (autoDeployCharts.greeter)
        repo
        name
        version
        targetNamespace
        values
        ;
    in
    builtins.attrNames autoDeployCharts == [ "greeter" ]
    && "${repo}/${name} ${version} ${targetNamespace}" == "https://charts.example.org/greeter 1.2.3 hello"
    && values == { replicaCount = 1; };
  "images declared with a role come beside those of k3s" =
    builtins.sort builtins.lessThan (map (image: image.name) (of "server").services.k3s.images)
    == [ "airgap-images" "docker-image-hello.tar.gz" ];
  "k3s waits for an install" = (of "worker").systemd.services.k3s.unitConfig.ConditionPathExists == "/etc/rancher/k3s/config.yaml";
  "images of k3s come with the system" = builtins.length (of "worker").services.k3s.images == 1;
  "without them a node needs the internet for its images" =
    (systems.worker.extendModules { modules = [ { netboot.k3s.airgap = false; } ]; }).config.services.k3s.images == [ ];
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
