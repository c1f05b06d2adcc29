//! A child process that never outlives its owner: killed when dropped, and killed as well
//! when the owner itself is killed. It must not know which program it runs.

use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::poll;

/// A running child process, in a process group of its own, so that Ctrl-C on the terminal
/// reaches the owner alone and the owner decides in which order its children stop.
#[derive(Debug)]
pub struct OwnedProcess {
    child: Child,
    watchdog: Child,
    name: String,
}

impl OwnedProcess {
    /// Starts `command`. `name` is used in error messages.
    pub fn spawn(name: &str, command: &mut Command) -> Result<Self> {
        let mut child = command.process_group(0).spawn().with_context(|| match command.get_program().to_str() {
            Some(program) => format!("cannot start {name} as `{program}`"),
            None => format!("cannot start {name}"),
        })?;
        match watch_over(child.id()) {
            Ok(watchdog) => Ok(Self { child, watchdog, name: name.to_owned() }),
            Err(error) => {
                child.kill().and_then(|()| child.wait()).context("cannot stop a child without watchdog")?;
                Err(error)
            }
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status, if the process has ended.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot ask for the exit status of {}", self.name))
    }

    /// Waits until the process ends by itself; `None` if it has not after `patience`.
    pub fn wait(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        poll::until(patience, || self.exit_status())
    }

    /// SIGTERM: asks the process to end in its own way.
    pub fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// SIGSTOP: the process stands still, its sockets stay open. Comes back once it does.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::STOP)?;
        let child = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("a child without an id")?;
        // Its end would be seen as well, but is left for others to wait for.
        let stopped = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(child), stopped).with_context(|| format!("cannot wait for {} to stand still", self.name))?;
        Ok(())
    }

    /// SIGCONT: goes on after `pause`.
    pub fn resume(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// SIGKILL, and waits until the process is gone. Nothing is left to do for one that
    /// has ended already.
    pub fn kill(&mut self) -> Result<()> {
        // First the watchdog: it must never fire at an id that is another's by now.
        let watchdog = end(&mut self.watchdog).context("cannot end a watchdog");
        end(&mut self.child).with_context(|| format!("cannot kill {}", self.name)).and(watchdog)
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        // A child that has not been waited for keeps its id, so the signal cannot stray.
        if self.exit_status()?.is_some() {
            return Ok(());
        }
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("cannot send a signal to {}", self.name))
    }
}

impl Drop for OwnedProcess {
    fn drop(&mut self) {
        // Nobody is left who could be told, and both are children that we may kill.
        let _ = self.kill();
    }
}

/// A shell that waits for the end of its input, which the kernel brings about when the
/// owner is gone in whatever way, and then kills the process. Linux could tie the process
/// to its parent directly, but ties it to the parent's thread, and tests end threads.
fn watch_over(process: u32) -> Result<Child> {
    Command::new("sh")
        .args(["-c", "read -r _; kill -KILL \"$0\" 2>/dev/null"])
        .arg(process.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .context("cannot start `sh` as the watchdog of a child process")
}

fn end(child: &mut Child) -> std::io::Result<()> {
    match child.kill() {
        Err(error) if error.kind() != ErrorKind::InvalidInput => return Err(error),
        // Invalid input: it has been waited for before.
        Ok(()) | Err(_) => {}
    }
    child.wait().map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::OwnedProcess;
    use crate::poll::PATIENCE;

    fn is_running(id: &str) -> bool {
        // Asked of ps, since a zombie still takes signals.
        let state = Command::new("ps").args(["-o", "stat=", "-p", id]).output().unwrap().stdout;
        !state.is_empty() && !state.starts_with(b"Z")
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let process = OwnedProcess::spawn("sleep", Command::new("sleep").arg("600")).unwrap();
        let id = process.id().to_string();
        assert!(is_running(&id));
        drop(process);
        assert!(!is_running(&id));
    }

    #[test]
    fn killing_twice_is_fine() {
        let mut process = OwnedProcess::spawn("sleep", Command::new("sleep").arg("600")).unwrap();
        process.kill().unwrap();
        process.kill().unwrap();
        process.terminate().unwrap();
    }

    #[test]
    fn the_watchdog_kills_when_its_owner_is_gone() {
        let mut process = OwnedProcess::spawn("sleep", Command::new("sleep").arg("600")).unwrap();
        // What the kernel does to the pipe of an owner that was killed.
        drop(process.watchdog.stdin.take());
        assert!(process.wait(PATIENCE).unwrap().is_some());
    }
}
