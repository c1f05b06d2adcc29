//! Turns machine code that this host compiled into a component. The one place with `unsafe`:
//! the engine cannot check that bytes are the code it once made.
#![allow(unsafe_code)]

use wasmtime::Engine;
use wasmtime::component::Component;

use super::cache::Cached;
use super::compile::Compiled;

/// Machine code made by the compiler of this version. Both kinds have private fields: only
/// `compile.rs` makes the one and only `cache.rs` the other, so such bytes come from nowhere
/// else.
pub(super) enum Precompiled<'a> {
    /// Made in this process.
    Compiled(&'a Compiled),
    /// Read back from the cache.
    Cached(&'a Cached),
}

impl Precompiled<'_> {
    /// The component, in the engine that will run it.
    pub(super) fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        let code = match self {
            Self::Compiled(compiled) => compiled.code(),
            Self::Cached(cached) => cached.code(),
        };
        // SAFETY: the bytes are, unchanged, what `Engine::precompile_component` once returned.
        // Compiled ones were never outside this process's memory. Cached ones were read from a
        // file whose header names the same version of this service and the same compatibility
        // hash of the engine, which has wasmtime's exact version in it; whose checksum holds, so
        // that it is whole; and which, like its directory, belongs to this process's user and
        // can be written by nobody else, as judged on the open files. The cache writes nothing
        // but `Compiled`. Whoever can forge such a file acts as this user already. The bytes are
        // a copy in memory that no change of the file reaches. The engine itself checks major
        // version, target and configuration once more.
        unsafe { Component::deserialize(engine, code) }
    }
}
