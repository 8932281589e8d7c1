# The part in the cluster: k3s as the profile's role says, joined with what the agent left on this machine's disk.
{ config, lib, ... }:
let
  cfg = config.netboot.k3s;
  server = cfg.role == "server-init" || cfg.role == "server";
  replaced = lib.elem cfg.cni [
    "cilium"
    "calico"
    "none"
  ];

  # Ports between nodes, and interfaces that carry pods; both as the projects document them. k3s's module opens none.
  cni = {
    flannel = {
      udp = [ 8472 ];
      trusted = [
        "cni0"
        "flannel.1"
      ];
    };
    cilium = {
      udp = [ 8472 ];
      tcp = [ 4240 ];
      trusted = [
        "cilium_host"
        "cilium_net"
        "cilium_vxlan"
        "lxc+"
      ];
    };
    calico = {
      udp = [ 4789 ];
      tcp = [ 5473 ];
      trusted = [
        "vxlan.calico"
        "cali+"
      ];
    };
    none = { };
  };
  ports = {
    udp = [ ];
    tcp = [ ];
    trusted = [ ];
  }
  // cni.${cfg.cni};
in
{
  imports = [
    ./cni.nix
    ./ready.nix
  ];

  options.netboot.k3s = {
    role = lib.mkOption {
      type = lib.types.enum [
        "none"
        "server-init"
        "server"
        "agent"
      ];
      default = "none";
      description = "The part in the cluster, set by the module of `hosts/roles/` that the profile's `[k3s] role` names.";
    };
    labels = lib.mkOption {
      type = lib.types.attrsOf lib.types.str;
      default = { };
      example = {
        tier = "worker";
      };
      description = "Labels of the node, given when it first joins.";
    };
    cni = lib.mkOption {
      type = lib.types.enum [
        "flannel"
        "cilium"
        "calico"
        "none"
      ];
      default = "flannel";
      description = ''
        What connects the pods. `flannel` is k3s's own. `cilium` and `calico` are installed by their charts, which the
        first server fetches. `none` leaves it to `services.k3s.manifests` or `autoDeployCharts`, and what that network needs
        of the firewall to you. All machines of a cluster need the same: set it in `hosts/common.nix`.
      '';
    };
    airgap = lib.mkOption {
      type = lib.types.bool;
      default = true;
      description = "Put the images of k3s itself into the system, so that a node without internet starts its pods.";
    };
  };

  config = lib.mkIf (cfg.role != "none") {
    services.k3s = {
      enable = true;
      role = if server then "server" else "agent";
      clusterInit = cfg.role == "server-init";
      # Where the cluster is and what this node is called differ by machine: the agent wrote them here.
      configPath = "/etc/rancher/k3s/config.yaml";
      # Secrets by file only; an agent never has the servers' token.
      tokenFile = "/var/lib/netboot/k3s-token";
      agentTokenFile = lib.mkIf server "/var/lib/netboot/k3s-agent-token";
      nodeLabel = lib.mapAttrsToList (name: value: "${name}=${value}") cfg.labels;
      images = lib.optional cfg.airgap config.services.k3s.package.airgap-images;
      extraFlags = lib.optionals (server && replaced) [
        "--flannel-backend=none"
        "--disable-network-policy"
      ];
      gracefulNodeShutdown.enable = true;
    };

    # Without what the install brings (as in a VM made to look at the system) it could only fail, over and over.
    systemd.services.k3s.unitConfig.ConditionPathExists = config.services.k3s.configPath;

    networking.firewall = {
      # The kubelet; the API server; etcd between servers.
      allowedTCPPorts = [
        10250
      ]
      ++ lib.optional server 6443
      ++ ports.tcp;
      allowedTCPPortRanges = lib.optional server {
        from = 2379;
        to = 2380;
      };
      allowedUDPPorts = ports.udp;
      trustedInterfaces = ports.trusted;
      # What Cilium sends to its proxies has a mark, by which the way back is a local route. NixOS's filter looks at the mark and
      # takes no local route for a way back, loose or strict: it would drop that, on trusted interfaces, too. Calico's packets come
      # back the way they went, and Calico itself keeps pods from using addresses of others.
      checkReversePath = lib.mkIf (cfg.cni == "cilium") (lib.mkDefault false);
    };

    # Pod networks make routes and rules of their own, which networkd would take away when it is restarted or a card's
    # cable comes back.
    systemd.network.config.networkConfig = {
      ManageForeignRoutes = lib.mkDefault false;
      ManageForeignRoutingPolicyRules = lib.mkDefault false;
    };
  };
}
