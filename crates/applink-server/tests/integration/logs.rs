//! Everything the process logs at trace level, while somebody records.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing_subscriber::fmt::format::FmtSpan;

static RECORDING: AtomicBool = AtomicBool::new(false);
static RECORDED: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static INSTALLED: OnceLock<()> = OnceLock::new();

struct Recorder;

impl Write for Recorder {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if RECORDING.load(Ordering::SeqCst) {
            RECORDED.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Records from now on, every thread's events and spans. (A subscriber of one thread only would miss what other
/// threads' tests have switched off before.)
pub(crate) fn record() {
    INSTALLED.get_or_init(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(|| Recorder)
            .finish();
        tracing::subscriber::set_global_default(subscriber).expect("the one subscriber of this process");
    });
    RECORDING.store(true, Ordering::SeqCst);
}

/// Stops and tells what was recorded.
pub(crate) fn recorded() -> String {
    RECORDING.store(false, Ordering::SeqCst);
    let bytes = std::mem::take(&mut *RECORDED.lock().unwrap_or_else(PoisonError::into_inner));
    String::from_utf8_lossy(&bytes).into_owned()
}
