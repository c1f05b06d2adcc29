//! A clock of a process that can be put back while it runs: a small library, loaded before the C
//! library. It must not be known to that process.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::plugins::own_file;

/// The clock of one process.
#[derive(Debug)]
pub struct ShiftedClock {
    library: PathBuf,
    shift: PathBuf,
}

impl ShiftedClock {
    /// A clock that is right as yet; its files lie in a directory of the caller's.
    pub fn new(directory: &Path, name: &str) -> Result<Self> {
        let clock =
            Self { library: directory.join("shifted_clock.so"), shift: directory.join(format!("{name}.clock")) };
        if !clock.library.exists() {
            compile(&clock.library)?;
        }
        File::create(&clock.shift)?.write_all_at(&0_i64.to_ne_bytes(), 0)?;
        Ok(clock)
    }

    /// What the process has to find in its environment.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        let text = |path: &Path| path.display().to_string();
        [("LD_PRELOAD", text(&self.library)), ("SHIFTED_CLOCK", text(&self.shift))]
    }

    /// Puts the clock that many seconds off.
    pub fn shift(&self, seconds: i64) -> Result<()> {
        // In place: the process has the file in its memory.
        let file = File::options().write(true).open(&self.shift)?;
        Ok(file.write_all_at(&seconds.to_ne_bytes(), 0)?)
    }
}

fn compile(library: &Path) -> Result<()> {
    let source = own_file("clock/shifted_clock.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(library).arg(source);
    let output = compiler.output().context("cannot start `cc`, the C compiler that Rust links with as well")?;
    if !output.status.success() {
        bail!("the shifted clock does not compile: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::ShiftedClock;

    #[test]
    fn a_process_sees_the_time_that_it_is_given() {
        let directory = tempfile::tempdir().unwrap();
        let clock = ShiftedClock::new(directory.path(), "date").unwrap();
        let seconds = || {
            let output = Command::new("date").arg("+%s").envs(clock.environment()).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().parse::<i64>().unwrap()
        };
        let right = seconds();
        clock.shift(-3_600).unwrap();
        assert!(seconds() < right - 3_000);
    }
}
