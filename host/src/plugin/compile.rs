//! Compiles a component in an engine of its own that is thrown away afterwards: the engine
//! keeps memory for every compilation for as long as it lives. Bounded in time and in size.

use std::time::Duration;

use wasmtime::Engine;

use super::LoadError;
use super::compile_slot::{CompileSlot, NoResult};
use super::engine::base_config;

/// Most machine code of one plugin in bytes: sixteen times the largest file, where a usual
/// plugin's code has three times its file's size.
pub(super) const CODE_BYTES_MAX: usize = 512 << 20;

/// One for the process, since all compilations share its processors.
static SLOT: CompileSlot = CompileSlot::new();

/// Machine code from the compiler. Only this module can make one.
pub(super) struct Compiled(Vec<u8>);

impl Compiled {
    pub(super) fn code(&self) -> &[u8] {
        &self.0
    }
}

/// Compiles a component's bytes, waiting for it at most so long.
pub(super) fn compile(bytes: &[u8], time_max: Duration) -> Result<Compiled, LoadError> {
    // A copy, since the compiler may outlive this call.
    let component = bytes.to_vec();
    let made = SLOT.run(time_max, move || compile_alone(&component));
    within_size(made.map_err(|error| refusal(error, time_max))??, CODE_BYTES_MAX)
}

fn compile_alone(bytes: &[u8]) -> Result<Compiled, LoadError> {
    let engine = Engine::new(&base_config()).map_err(LoadError::engine)?;
    let code = engine.precompile_component(bytes).map_err(|error| LoadError::NotCompiled(one_line(&error)))?;
    Ok(Compiled(code))
}

fn within_size(compiled: Compiled, bytes_max: usize) -> Result<Compiled, LoadError> {
    let size = compiled.0.len();
    if size > bytes_max { Err(LoadError::CodeTooLarge { size, max: bytes_max }) } else { Ok(compiled) }
}

fn refusal(error: NoResult, time_max: Duration) -> LoadError {
    match error {
        NoResult::Occupied => LoadError::CompilerOccupied(time_max),
        NoResult::Late => LoadError::CompileTimeout(time_max),
        NoResult::Panicked => LoadError::NotCompiled("the compiler panicked".into()),
        NoResult::NoThread(why) => LoadError::Engine(format!("no thread for the compiler: {why}")),
    }
}

/// An engine's error with its causes, on one line.
pub(super) fn one_line(error: &wasmtime::Error) -> String {
    let causes: Vec<String> = error.chain().map(|cause| cause.to_string().replace('\n', " ")).collect();
    causes.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_machine_code_than_allowed_is_refused() {
        let code = || Compiled(vec![0; 11]);
        assert_eq!(within_size(code(), 10).err(), Some(LoadError::CodeTooLarge { size: 11, max: 10 }));
        assert_eq!(within_size(code(), 11).map(|compiled| compiled.0.len()), Ok(11));
    }
}
