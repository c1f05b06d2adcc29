//! The whole repository is tidy. It must not know what tidy means; `xtask::tidy` does.

use std::path::Path;

#[test]
fn the_repository_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let findings = xtask::tidy::findings(&root).unwrap();
    assert!(findings.is_empty(), "\n{}", xtask::tidy::listing(&findings));
}
