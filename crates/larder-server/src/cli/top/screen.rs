//! The terminal of `larder top`: it gets its earlier state back however the view ends.

use std::io::{self, Write as _};
use std::pin::Pin;

use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, read};
use crossterm::style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{cursor, execute, queue};
use tokio::sync::mpsc;

use crate::cli::top::lines::{Ink, Line};

/// What a person does at the terminal.
pub(crate) enum Input {
    Quit,
    Key(char),
    Resize,
}

/// The terminal in raw mode, on its second screen.
pub(crate) struct Screen(());

impl Screen {
    pub(crate) fn open() -> io::Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // Before the message, which would be lost on the second screen.
            restore();
            before(panic);
        }));
        enable_raw_mode()?;
        let screen = Self(());
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)?;
        Ok(screen)
    }

    /// Columns and lines.
    pub(crate) fn size(&self) -> io::Result<(usize, usize)> {
        size().map(|(columns, lines)| (usize::from(columns), usize::from(lines)))
    }

    /// The keys and resizes from now on.
    pub(crate) fn input(&self) -> mpsc::UnboundedReceiver<Input> {
        let (send, receive) = mpsc::unbounded_channel();
        // A thread, because a read of the terminal blocks. It ends with the process, or when the terminal is gone.
        std::thread::spawn(move || {
            while let Ok(event) = read() {
                let input = match event {
                    Event::Resize(..) => Input::Resize,
                    Event::Key(key) if key.kind == KeyEventKind::Press => match key.code {
                        KeyCode::Char('q') | KeyCode::Esc => Input::Quit,
                        // In raw mode the terminal sends Ctrl-C as a key, and no signal.
                        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Input::Quit,
                        KeyCode::Char(key) => Input::Key(key),
                        _ => continue,
                    },
                    _ => continue,
                };
                if send.send(input).is_err() {
                    break;
                }
            }
        });
        receive
    }

    /// Draws these lines over the preceding ones.
    pub(crate) fn draw(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        queue!(out, BeginSynchronizedUpdate)?;
        for (row, (ink, text)) in (0..).zip(lines) {
            // Cleared first: after a row that fills the line, some terminals clear its last cell.
            queue!(out, cursor::MoveTo(0, row), Clear(ClearType::UntilNewLine))?;
            match ink {
                Ink::Plain => {}
                Ink::Reverse => queue!(out, SetAttribute(Attribute::Reverse))?,
                Ink::Alarm => queue!(out, SetForegroundColor(Color::Red))?,
            }
            queue!(out, Print(text), SetAttribute(Attribute::Reset), ResetColor)?;
        }
        queue!(out, Clear(ClearType::FromCursorDown), EndSynchronizedUpdate)?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal its earlier state back. May be called twice.
fn restore() {
    // The terminal may be gone; then there is nothing to restore.
    let _ = execute!(io::stdout(), cursor::Show, LeaveAlternateScreen);
    let _ = disable_raw_mode();
}

/// Resolves when the process is asked to end: the screen has to be restored first.
pub(crate) fn end_signals() -> io::Result<Pin<Box<dyn Future<Output = ()>>>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut terminated = signal(SignalKind::terminate())?;
        let mut hung_up = signal(SignalKind::hangup())?;
        Ok(Box::pin(async move {
            tokio::select! {
                _ = interrupted.recv() => {}
                _ = terminated.recv() => {}
                _ = hung_up.recv() => {}
            }
        }))
    }
    #[cfg(not(unix))]
    Ok(Box::pin(async {
        // An error means that the process cannot receive Ctrl-C.
        let _ = tokio::signal::ctrl_c().await;
    }))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Set in the process that panics.
    const PANICS: &str = "LARDER_TEST_PANICS_ON_SCREEN";

    #[test]
    fn a_process_that_panics_on_the_screen() {
        if std::env::var_os(PANICS).is_some() {
            let _screen = Screen::open().unwrap();
            panic!("on the second screen");
        }
    }

    /// `script` of util-linux runs the process in a terminal of its own, with `stty` before and after it.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_panic_restores_the_terminal_before_its_message() {
        let name = "cli::top::screen::tests::a_process_that_panics_on_the_screen";
        let process = std::env::current_exe().unwrap();
        let shell = format!("stty -a; {} --exact {name} --nocapture; stty -a", process.display());
        let ran =
            Command::new("script").args(["-qec", &shell, "/dev/null"]).env(PANICS, "1").output().unwrap();
        let shown = String::from_utf8_lossy(&ran.stdout);
        let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("no {text:?}: {shown}"));
        assert!(at("\u{1b}[?1049h") < at("\u{1b}[?1049l"), "{shown}");
        assert!(at("\u{1b}[?1049l") < at("on the second screen"), "{shown}");
        let modes: Vec<_> = shown.split("speed ").skip(1).map(|modes| modes.split("echoke").next()).collect();
        assert_eq!(modes.len(), 2, "{shown}");
        assert_eq!(modes[0], modes[1], "{shown}");
    }
}
