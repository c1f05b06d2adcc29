//! The component engine against real components: what a plugin can do, what it cannot, and
//! which files are none. Knows nothing of NATS or of how domains are served.

#[path = "plugin_engine/cached_code.rs"]
mod cached_code;
#[path = "plugin_engine/compile_time.rs"]
mod compile_time;
#[path = "plugin_engine/loaded.rs"]
mod loaded;
#[path = "plugin_engine/misdeeds.rs"]
mod misdeeds;
#[path = "plugin_engine/refused_files.rs"]
mod refused_files;
#[path = "plugin_engine/round_trip.rs"]
mod round_trip;
#[path = "plugin_engine/spoken.rs"]
mod spoken;
#[path = "plugin_engine/successors.rs"]
mod successors;
