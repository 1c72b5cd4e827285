//! A real terminal: a pseudo-terminal of the kernel, whose other end an emulator reads.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

use crate::support::{eventually, within};

/// What the emulator shows.
type Emulator = Arc<Mutex<vt100::Parser>>;

/// A terminal and the program that has it.
pub(super) struct Terminal {
    keyboard: File,
    /// The program's end; it stays open, so that its modes can be read after the program.
    end: OwnedFd,
    modes: String,
    emulator: Emulator,
    child: Child,
}

fn size(columns: u16, lines: u16) -> Winsize {
    Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn some(length: u16) -> NonZero<u16> {
    NonZero::new(length).unwrap()
}

fn modes(end: &OwnedFd) -> String {
    let modes = tcgetattr(end).unwrap();
    format!("{:?} {:?} {:?}", modes.input_modes, modes.output_modes, modes.local_modes)
}

impl Terminal {
    /// Starts the binary in a terminal of this size.
    pub(super) fn start(arguments: &[&str], environment: &[(&str, &str)], columns: u16, lines: u16) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let path = ptsname(&controller, Vec::new()).unwrap();
        let end = open(path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        tcsetwinsize(&end, size(columns, lines)).unwrap();
        let modes = modes(&end);
        // `setsid --ctty` makes it the controlling terminal, so that the kernel reports each resize.
        let child = Command::new("setsid")
            .args(["--ctty", env!("CARGO_BIN_EXE_larder")])
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TERM", "xterm-256color")
            .envs(environment.iter().copied())
            .stdin(end.try_clone().unwrap())
            .stdout(end.try_clone().unwrap())
            .stderr(end.try_clone().unwrap())
            .spawn()
            .unwrap();
        let keyboard = File::from(controller);
        let mut screen = keyboard.try_clone().unwrap();
        let emulator = Arc::new(Mutex::new(vt100::Parser::new(some(lines), some(columns), 0)));
        let shown = emulator.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Ends with an error when the program and the test have closed their ends.
            while let Ok(length @ 1..) = screen.read(&mut bytes) {
                shown.lock().unwrap().process(&bytes[..length]);
            }
        });
        Self { keyboard, end, modes, emulator, child }
    }

    /// The lines of the screen, without what follows their last letter.
    pub(super) fn lines(&self) -> Vec<String> {
        let emulator = self.emulator.lock().unwrap();
        let columns = emulator.screen().size().1;
        emulator.screen().rows(0, columns.get()).map(|line| line.trim_end().to_owned()).collect()
    }

    /// Waits until the screen satisfies `condition`.
    #[track_caller]
    pub(super) fn shows(&self, what: &str, condition: impl Fn(&[String]) -> bool) {
        let mut last = Vec::new();
        let shown = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(what, || {
                last = self.lines();
                condition(&last)
            });
        }));
        assert!(shown.is_ok(), "{what}:\n{}", last.join("\n"));
    }

    pub(super) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    pub(super) fn resize(&self, columns: u16, lines: u16) {
        self.emulator.lock().unwrap().screen_mut().set_size(some(lines), some(columns));
        tcsetwinsize(&self.end, size(columns, lines)).unwrap();
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end of the program, and checks that the terminal is as it was.
    #[track_caller]
    pub(super) fn ends_as_it_began(&mut self) -> ExitStatus {
        let mut ended = None;
        within(crate::support::TIMEOUT, "it ends", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        assert_eq!(modes(&self.end), self.modes, "the modes of the terminal");
        eventually("the first screen and the cursor are back", || {
            let emulator = self.emulator.lock().unwrap();
            !emulator.screen().alternate_screen() && !emulator.screen().hide_cursor()
        });
        ended.unwrap()
    }

    /// Whether the program has the second screen, without a cursor.
    pub(super) fn is_taken(&self) -> bool {
        let emulator = self.emulator.lock().unwrap();
        emulator.screen().alternate_screen()
            && emulator.screen().hide_cursor()
            && modes(&self.end) != self.modes
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
