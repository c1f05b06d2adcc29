//! Turns machine code that this process compiled into a component. The one place with
//! `unsafe`: the engine cannot check that bytes are the code it once made.
#![allow(unsafe_code)]

use wasmtime::Engine;
use wasmtime::component::Component;

/// Machine code made by [`super::compile`] in this very process. It has no other constructor
/// that is visible outside, so such bytes come from nowhere else.
pub(super) struct Precompiled(pub(super) Vec<u8>);

impl Precompiled {
    /// The component, in the engine that will run it.
    pub(super) fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: the bytes come from `Engine::precompile_component` of the same build of
        // wasmtime in this process and were never outside its memory. The engine checks
        // version and configuration itself.
        unsafe { Component::deserialize(engine, &self.0) }
    }
}
