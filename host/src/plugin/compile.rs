//! Compiles a component in an engine of its own that is thrown away afterwards: the engine
//! keeps memory for every compilation for as long as it lives.

use wasmtime::Engine;

use super::LoadError;
use super::engine::base_config;
use super::precompiled::Precompiled;

/// Compiles a component's bytes.
pub(super) fn compile(bytes: &[u8]) -> Result<Precompiled, LoadError> {
    let engine = Engine::new(&base_config()).map_err(LoadError::engine)?;
    let code = engine.precompile_component(bytes).map_err(|error| LoadError::NotCompiled(one_line(&error)))?;
    Ok(Precompiled(code))
}

/// An engine's error with its causes, on one line.
pub(super) fn one_line(error: &wasmtime::Error) -> String {
    let causes: Vec<String> = error.chain().map(|cause| cause.to_string().replace('\n', " ")).collect();
    causes.join(": ")
}
