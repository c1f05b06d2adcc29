//! Whether all scenarios of the benchmark work, at tiny scale; not how fast anything is.

use std::process::Command;

#[test]
fn all_scenarios_work() {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_bench"));
    let output = bench.arg("--smoke").output().expect("the benchmark starts");
    let (page, progress) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{progress}");
    assert!(page.contains("| promise | goal | measured |"), "{page}");
}
