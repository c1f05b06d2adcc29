{
  description = "agent-service: event-sourced domains as WebAssembly components over NATS JetStream";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    # A toolchain with the target of the plugins.
    rust-overlay = {
      url = "github:oxalica/rust-overlay";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs = { self, nixpkgs, rust-overlay }:
    let
      forAllSystems = nixpkgs.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ];
    in
    {
      packages = forAllSystems (system:
        let
          pkgs = import nixpkgs { inherit system; overlays = [ rust-overlay.overlays.default ]; };
          toolchain = pkgs.rust-bin.stable.latest.minimal.override { targets = [ "wasm32-wasip2" ]; };
        in
        {
          default = pkgs.callPackage ./package.nix {
            rustPlatform = pkgs.makeRustPlatform { cargo = toolchain; rustc = toolchain; };
          };
        });

      nixosModules.default = { pkgs, lib, ... }: {
        imports = [ ./module.nix ];
        services.agent-service.package =
          lib.mkDefault self.packages.${pkgs.stdenv.hostPlatform.system}.default;
      };
    };
}
