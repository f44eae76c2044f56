//! Signals that ask the process to stop.

use tokio_util::sync::CancellationToken;

/// Exit code when the user interrupts twice.
const INTERRUPTED: i32 = 130;

/// A token that is cancelled at the first SIGTERM or Ctrl-C; the second one ends the process at once.
pub fn stop_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let token = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let cancelled = token.clone();
    #[expect(clippy::exit, reason = "the second signal asks for an end without order")]
    let wait = async move {
        for is_second in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if is_second {
                std::process::exit(INTERRUPTED);
            }
            cancelled.cancel();
        }
    };
    #[expect(clippy::disallowed_methods, reason = "it ends with the process, which it may have to end itself")]
    tokio::spawn(wait);
    Ok(token)
}
