//! The component engine as the host runs it: deterministic, bounded in memory, and with a
//! clock that ends calls which take too long. Knows nothing of domains.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use super::LoadError;
use super::cache::CodeCache;
use super::sandbox::Sandbox;

/// How often the engine's clock ticks. A deadline is kept to within two ticks.
const TICK: Duration = Duration::from_millis(10);
/// Instances that can live at once, over all domains.
const INSTANCES_MAX: u32 = 1_000;
/// Stack of a plugin in bytes; deeper recursion traps.
const STACK_BYTES_MAX: usize = 1 << 20;
/// Memory that a freed slot keeps for its next instance, in bytes.
const KEEP_RESIDENT_BYTES: usize = 64 << 10;

/// What a plugin may use up.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest time one call may take.
    pub deadline: Duration,
    /// Linear memory of one instance in bytes.
    pub memory_bytes_max: usize,
    /// Largest plugin file in bytes.
    pub file_bytes_max: usize,
    /// Longest time to wait for a plugin to be compiled.
    pub compile_time_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(1),
            memory_bytes_max: 64 << 20,
            file_bytes_max: 32 << 20,
            compile_time_max: Duration::from_secs(60),
        }
    }
}

/// The engine in which plugins run.
#[derive(Clone)]
pub struct PluginEngine {
    pub(super) engine: Engine,
    pub(super) linker: Arc<Linker<Sandbox>>,
    pub(super) limits: Limits,
    pub(super) cache: Option<Arc<CodeCache>>,
}

impl PluginEngine {
    /// Starts the engine and its clock, which runs until the last copy of the engine is gone.
    ///
    /// # Errors
    /// [`LoadError::Engine`] where the machine does not let it: no executable memory, no room
    /// in the address space.
    pub fn start(limits: Limits) -> Result<Self, LoadError> {
        let mut config = base_config();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
        let engine = Engine::new(&config).map_err(LoadError::engine)?;
        let linker = super::sandbox::linker(&engine).map_err(LoadError::engine)?;
        let ticking = engine.weak();
        thread::Builder::new()
            .name("plugin-clock".into())
            .spawn(move || {
                while let Some(engine) = ticking.upgrade() {
                    engine.increment_epoch();
                    drop(engine);
                    thread::sleep(TICK);
                }
            })
            .map_err(|error| LoadError::Engine(error.to_string()))?;
        Ok(Self { engine, linker: Arc::new(linker), limits, cache: None })
    }

    /// The same engine, which looks for compiled code in `cache` and keeps it there.
    #[must_use]
    pub fn with_cache(mut self, cache: CodeCache) -> Self {
        self.cache = Some(Arc::new(cache));
        self
    }

    /// What plugins may use up.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The deadline in ticks, counted from the next one.
    pub(super) fn deadline_ticks(&self) -> u64 {
        let ticks = self.limits.deadline.as_millis().div_ceil(TICK.as_millis());
        u64::try_from(ticks).unwrap_or(u64::MAX / 2) + 1
    }
}

/// What compiled code depends on: the same for the engine that compiles and the one that runs.
pub(super) fn base_config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // Same state, same command, same answer, on every machine.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(STACK_BYTES_MAX)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(8))
        // All calls are synchronous, on a shard's own thread.
        .concurrency_support(false);
    config
}

fn pool(limits: Limits) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES_MAX)
        .total_core_instances(INSTANCES_MAX * 8)
        .total_memories(INSTANCES_MAX)
        .total_tables(INSTANCES_MAX * 4)
        .max_memories_per_component(1)
        .max_memory_size(limits.memory_bytes_max)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES);
    pool
}
