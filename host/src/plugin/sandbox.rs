//! What surrounds a plugin: the few imports it may have, all of them inert, and the limit
//! on its memory. No files, no network, no clock, no environment, no randomness.

use wasmtime::component::{Component, HasData, Linker, ResourceTable};
use wasmtime::{Engine, ResourceLimiter};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::p2::bindings::{cli, random, sync};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::bindings::agent_service::domain::logging;
use super::output::Output;

/// Interfaces a plugin may import, without their versions.
const ALLOWED_IMPORTS: [&str; 15] = [
    "agent-service:domain/logging",
    "agent-service:domain/aggregates",
    "wasi:io/poll",
    "wasi:io/error",
    "wasi:io/streams",
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
];
/// Asked for by hash maps; answered with a constant.
const SEED_IMPORT: &str = "wasi:random/insecure-seed";
/// The constant: iteration order must not differ between hosts and replays.
const SEED: u128 = 0;

/// The state beside one instance.
pub(super) struct Sandbox {
    wasi: WasiCtx,
    table: ResourceTable,
    pub(super) output: Output,
    pub(super) memory: MemoryLimit,
}

impl Sandbox {
    pub(super) fn new(domain: &str, memory_bytes_max: usize) -> Self {
        let output = Output::new(domain);
        let wasi = WasiCtx::builder().stdout(output.clone()).stderr(output.clone()).insecure_random_seed(SEED).build();
        let memory = MemoryLimit { bytes_max: memory_bytes_max, exceeded: false };
        Self { wasi, table: ResourceTable::new(), output, memory }
    }
}

impl WasiView for Sandbox {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl logging::Host for Sandbox {
    fn log(&mut self, level: logging::Level, message: String) {
        self.output.log(level, &message);
    }
}

/// Keeps an instance within its memory, and notes when it asked for more.
pub(super) struct MemoryLimit {
    bytes_max: usize,
    pub(super) exceeded: bool,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let fits = desired <= self.bytes_max;
        self.exceeded |= !fits;
        Ok(fits)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        const TABLE_ELEMENTS_MAX: usize = 100_000;
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }
}

struct Own;

impl HasData for Own {
    type Data<'a> = &'a mut Sandbox;
}

struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

/// Everything a plugin can be linked with.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Sandbox>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    logging::add_to_linker::<Sandbox, Own>(l, |sandbox| sandbox)?;
    wasmtime_wasi::p2::bindings::io::error::add_to_linker::<Sandbox, Io>(l, |s| &mut s.table)?;
    sync::io::poll::add_to_linker::<Sandbox, Io>(l, |s| &mut s.table)?;
    sync::io::streams::add_to_linker::<Sandbox, Io>(l, |s| &mut s.table)?;
    cli::environment::add_to_linker::<Sandbox, WasiCli>(l, Sandbox::cli)?;
    cli::exit::add_to_linker::<Sandbox, WasiCli>(l, Sandbox::cli)?;
    cli::stdin::add_to_linker::<Sandbox, WasiCli>(l, Sandbox::cli)?;
    cli::stdout::add_to_linker::<Sandbox, WasiCli>(l, Sandbox::cli)?;
    cli::stderr::add_to_linker::<Sandbox, WasiCli>(l, Sandbox::cli)?;
    cli::terminal_input::add_to_linker::<Sandbox, WasiCli>(l, Sandbox::cli)?;
    cli::terminal_output::add_to_linker::<Sandbox, WasiCli>(l, Sandbox::cli)?;
    cli::terminal_stdin::add_to_linker::<Sandbox, WasiCli>(l, Sandbox::cli)?;
    cli::terminal_stdout::add_to_linker::<Sandbox, WasiCli>(l, Sandbox::cli)?;
    cli::terminal_stderr::add_to_linker::<Sandbox, WasiCli>(l, Sandbox::cli)?;
    random::insecure_seed::add_to_linker::<Sandbox, WasiRandom>(l, |s| s.wasi.random())?;
    Ok(linker)
}

/// The names of everything a component imports.
pub(super) fn imports(component: &Component, engine: &Engine) -> Vec<String> {
    component.component_type().imports(engine).map(|(name, _)| name.to_owned()).collect()
}

/// Whether a plugin may import this.
pub(super) fn is_allowed(import: &str) -> bool {
    let interface = import.split('@').next().unwrap_or(import);
    interface == SEED_IMPORT || ALLOWED_IMPORTS.contains(&interface)
}
