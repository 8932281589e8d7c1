# An account of the cluster that may look at nodes and nothing else: with its token the appliance sees `joined`.
{ config, lib, ... }:
let
  name = "netboot-appliance";
  namespace = "kube-system";
  metadata = {
    inherit name namespace;
  };
  rbac = "rbac.authorization.k8s.io";
in
{
  config = lib.mkIf (config.netboot.k3s.role == "server-init") {
    services.k3s.manifests.${name}.content = [
      {
        apiVersion = "v1";
        kind = "ServiceAccount";
        inherit metadata;
      }
      {
        apiVersion = "${rbac}/v1";
        kind = "ClusterRole";
        metadata = { inherit name; };
        rules = [
          {
            apiGroups = [ "" ];
            resources = [ "nodes" ];
            verbs = [
              "get"
              "list"
            ];
          }
        ];
      }
      {
        apiVersion = "${rbac}/v1";
        kind = "ClusterRoleBinding";
        metadata = { inherit name; };
        roleRef = {
          apiGroup = rbac;
          kind = "ClusterRole";
          inherit name;
        };
        subjects = [
          {
            kind = "ServiceAccount";
            inherit name namespace;
          }
        ];
      }
      # A token that does not expire lives in a Secret that names its account; Kubernetes fills it in.
      {
        apiVersion = "v1";
        kind = "Secret";
        type = "kubernetes.io/service-account-token";
        metadata = metadata // {
          annotations."kubernetes.io/service-account.name" = name;
        };
      }
    ];
  };
}
