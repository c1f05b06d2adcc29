//! Compiling is waited for so long and no longer.

use std::time::Duration;

use agent_service::plugin::{Limits, LoadError, Origin, Plugin, PluginEngine};

use crate::loaded::{LIMITS, component};

#[test]
fn a_plugin_that_takes_too_long_to_compile_is_refused_in_words() {
    let time_max = Duration::from_nanos(1);
    let hasty = PluginEngine::start(Limits { compile_time_max: time_max, ..LIMITS }).expect("an engine");
    let bytes = component("agent");
    let error = Plugin::load(&hasty, &bytes).err().expect("a refusal");
    // Beside other tests the compiler may be at work already.
    let expected = [LoadError::CompileTimeout(time_max), LoadError::CompilerOccupied(time_max)];
    assert!(expected.contains(&error), "{error:?}");
    let words = expected.map(|error| error.to_string());
    assert!(words[0].contains("within 1ns") && words[0].contains("raise PLUGIN_COMPILE_TIME_MAX"), "{words:?}");
    assert!(words[1].contains("within 1ns") && words[1].contains("is still being compiled"), "{words:?}");

    // Whoever has more time waits until what was given up has finished.
    let patient = PluginEngine::start(LIMITS).expect("an engine");
    let plugin = Plugin::load(&patient, &bytes).expect("a plugin");
    assert_eq!(plugin.code_origin(), Origin::Compiled);
}
