//! A component's machine code, wherever it is had soonest: from the cache, or else from the
//! compiler, and then it is kept. Knows nothing of what a plugin exports.

use wasmtime::component::Component;

use super::LoadError;
use super::cache::{Cached, CodeCache, Key, Origin};
use super::compile::{compile, one_line};
use super::engine::PluginEngine;
use super::precompiled::Precompiled;
use crate::domain::Digest;

/// The component in the serving engine, and where its code came from.
pub(super) fn component(engine: &PluginEngine, bytes: &[u8], digest: Digest) -> Result<(Component, Origin), LoadError> {
    if let Some(component) = self::compiled(engine, digest) {
        return Ok((component, Origin::Cached));
    }
    let compiled = compile(bytes, engine.limits.compile_time_max)?;
    let component = Precompiled::Compiled(&compiled).load(&engine.engine).map_err(LoadError::engine)?;
    // Only what the serving engine takes is worth keeping.
    if let Some(cache) = &engine.cache {
        cache.keep(&Key::of(digest, &engine.engine), &compiled);
    }
    Ok((component, Origin::Compiled))
}

/// The component in the serving engine, where the cache has its code.
pub(super) fn compiled(engine: &PluginEngine, digest: Digest) -> Option<Component> {
    let cache = engine.cache.as_deref()?;
    cached(engine, cache, &Key::of(digest, &engine.engine))
}

fn cached(engine: &PluginEngine, cache: &CodeCache, key: &Key) -> Option<Component> {
    let code: Cached = cache.find(key)?;
    match Precompiled::Cached(&code).load(&engine.engine) {
        Ok(component) => Some(component),
        Err(error) => {
            let error = one_line(&error);
            tracing::warn!(digest = %key.component(), error, "cached plugin code is refused by the engine, the plugin is compiled anew");
            None
        }
    }
}
