//! The component boundary, more finely: `cargo bench -p bench`. It must not know NATS.

use std::env;
use std::path::{Path, PathBuf};

use bench::place::{Component, Native, Place, grow};
use bench::sample_agent::{UPDATE, update};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const ID: &str = "5f0c6dd5-9c0a-4b58-8f8e-9f3d3f2a7c11";
const STATE_BYTES: [usize; 3] = [100, 6_000, 100_000];

/// Where `cargo xtask` leaves plugins.
fn component() -> Component {
    let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins");
    let directory = env::var_os("AGENT_PLUGINS").map_or_else(usual, PathBuf::from);
    Component::load(&directory.join("agent.wasm")).expect("`cargo xtask build` builds the agent plugin")
}

fn warm_commands(criterion: &mut Criterion) {
    let component = component();
    let mut group = criterion.benchmark_group("a warm command");
    for bytes in STATE_BYTES {
        let places: [(&str, Box<dyn Place>); 3] = [
            ("inside", Box::new(grown(component.keep(ID).expect("an instance"), bytes))),
            ("as bytes", Box::new(grown(component.pass(ID).expect("an id"), bytes))),
            ("natively", Box::new(grown(Native::new(ID), bytes))),
        ];
        for (name, mut place) in places {
            let mut turn = 0;
            group.bench_function(BenchmarkId::new(name, bytes), |bencher| {
                bencher.iter(|| {
                    turn += 1;
                    place.command(UPDATE, &update(ID, turn)).expect("a change is taken");
                });
            });
        }
    }
    group.finish();
}

fn grown<P: Place>(mut place: P, bytes: usize) -> P {
    grow(&mut place, bytes, ID).expect("the agent takes settings");
    place
}

criterion_group!(benches, warm_commands);
criterion_main!(benches);
