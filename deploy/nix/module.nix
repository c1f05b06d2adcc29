# The NixOS module: the unit of deploy/systemd as the package brings it, with settings as options.
{ config, lib, pkgs, ... }:
let
  cfg = config.services.agent-service;
  set = lib.filterAttrs (_: value: value != null) cfg.settings;
in
{
  options.services.agent-service = {
    enable = lib.mkEnableOption "the agent-service host";

    package = lib.mkOption {
      type = lib.types.package;
      description = "The package with the host, its plugins and its unit.";
    };

    settings = import ./settings.nix { inherit lib; };

    environmentFile = lib.mkOption {
      type = lib.types.nullOr (lib.types.strMatching "/.*");
      default = null;
      example = "/run/secrets/agent-service.env";
      description = ''
        File with further settings, read when the service starts. The place for NATS_PASSWORD, which as an
        option would be in the Nix store for everyone to read.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    # The unit as it is, hardening included; what follows becomes a drop-in.
    systemd.packages = [ cfg.package ];
    systemd.services.agent-service = {
      wantedBy = [ "multi-user.target" ];
      environment =
        { PLUGIN_DIR = "${cfg.package}/share/agent-service/plugins"; }
        // lib.mapAttrs (_: toString) set;
      serviceConfig.EnvironmentFile = lib.mkIf (cfg.environmentFile != null) cfg.environmentFile;
    };

    users.users.agent-service = {
      isSystemUser = true;
      group = "agent-service";
    };
    users.groups.agent-service = { };

    # `agent-service send` and the like.
    environment.systemPackages = [ cfg.package ];
  };
}
