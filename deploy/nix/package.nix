# Host, plugins and unit, built as `cargo xtask build` does. The toolchain needs the target wasm32-wasip2.
{ lib, rustPlatform }:
rustPlatform.buildRustPackage {
  pname = "agent-service";
  version = (lib.importTOML ../../Cargo.toml).workspace.package.version;
  src = lib.cleanSourceWith {
    src = ../..;
    filter = path: _: !(lib.hasSuffix "/target" (toString path));
  };
  cargoLock.lockFile = ../../Cargo.lock;

  # The plugins are for another target than the host, so it is not one call of cargo.
  buildPhase = ''
    runHook preBuild
    cargo xtask build
    runHook postBuild
  '';
  # Tests need a nats-server and its ports; `cargo xtask test` runs them.
  doCheck = false;

  installPhase = ''
    runHook preInstall
    install -D --mode=755 target/dist/agent-service $out/bin/agent-service
    install -D --mode=644 --target-directory=$out/share/agent-service/plugins target/dist/plugins/*.wasm
    install -D --mode=644 deploy/systemd/agent-service.service $out/lib/systemd/system/agent-service.service
    substituteInPlace $out/lib/systemd/system/agent-service.service \
      --replace-fail /usr/bin/agent-service $out/bin/agent-service
    runHook postInstall
  '';

  meta = {
    description = "Event-sourced domains as WebAssembly components over NATS JetStream";
    license = lib.licenses.mit;
    mainProgram = "agent-service";
    platforms = lib.platforms.linux;
  };
}
