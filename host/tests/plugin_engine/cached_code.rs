//! A plugin that was compiled before is loaded without compiling, and works the same.

use agent_service::domain::Generation;
use agent_service::plugin::{CodeCache, Origin, Plugin};
use serde_json::json;

use crate::loaded::{ENGINE, One, component};

#[test]
fn a_cached_plugin_works_like_a_compiled_one() {
    let parent = tempfile::tempdir().expect("a directory");
    let directory = parent.path().join("cache");
    let load = || {
        let engine = ENGINE.clone().with_cache(CodeCache::new(&directory));
        Plugin::load(&engine, &component("counter")).expect("a plugin")
    };
    let (compiled, cached) = (load(), load());
    assert_eq!([compiled.code_origin(), cached.code_origin()], [Origin::Compiled, Origin::Cached]);
    assert_eq!(compiled.digest(), cached.digest());
    assert_eq!(compiled.imports(), cached.imports());
    let views = [compiled, cached].map(|plugin| {
        let mut counter = One::of(&plugin, "c1");
        counter.execute("increment", &json!({ "counter_id": "c1", "by": 2 }));
        counter.view()
    });
    assert_eq!(views[0], views[1]);
}

#[test]
fn a_plugin_that_is_refused_is_refused_from_the_cache_as_well() {
    let parent = tempfile::tempdir().expect("a directory");
    let engine = ENGINE.clone().with_cache(CodeCache::new(parent.path()));
    let bytes = wat::parse_str("(component)").expect("a component's text");
    let refusals = [(); 2].map(|()| Plugin::load(&engine, &bytes).err().expect("a refusal"));
    assert_eq!(refusals[0], refusals[1]);
}
