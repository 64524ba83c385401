//! What is told at the end: the report and the spans of the last seconds.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Tasks that tell somebody something from time to time, and once more at the end.
#[derive(Debug)]
pub(crate) struct Closing {
    over: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Tells such a task when the end has come.
#[derive(Clone, Debug)]
pub(crate) struct Over(watch::Receiver<bool>);

impl Closing {
    pub(crate) fn new() -> Self {
        Self { over: watch::Sender::new(false), tasks: Vec::new() }
    }

    /// Starts one.
    pub(crate) fn spawn<F>(&mut self, task: impl FnOnce(Over) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.push(tokio::spawn(task(Over(self.over.subscribe()))));
    }

    /// Lets them say their last words, for at most `time`.
    pub(crate) async fn close(&mut self, time: Duration) {
        self.over.send_replace(true);
        let said = async {
            for task in &mut self.tasks {
                let _ = task.await;
            }
        };
        let _ = tokio::time::timeout(time, said).await;
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Over {
    /// Waits. True when the end came before.
    pub(crate) async fn within(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.0.wait_for(|over| *over)).await.is_ok()
    }
}
