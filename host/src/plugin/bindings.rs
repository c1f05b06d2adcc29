//! The host's side of `wit/`, generated. Knows nothing of what the calls mean.
#![allow(missing_docs, unreachable_pub, clippy::all)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "plugin",
    // Arguments are lent to the plugin's memory without a copy of our own.
    ownership: Borrowing { duplicate_if_necessary: true },
});
