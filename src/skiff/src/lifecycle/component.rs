//! A component: what a crate's `Config::build()` gives, with its name.

use std::fmt;
use std::pin::Pin;

use task::{Ready, Shutdown};

/// Something that becomes ready, and runs until it is asked to stop.
pub(crate) struct Component {
    pub(super) name: &'static str,
    pub(super) ready: Ready,
    pub(super) run: Run,
}

/// Runs a component. It ends when the shutdown is requested and its work is finished; every other end is a failure.
type Run = Box<dyn FnOnce(Shutdown) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>> + Send>;

impl Component {
    pub(crate) fn new<F>(
        name: &'static str,
        ready: Ready,
        run: impl FnOnce(Shutdown) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        Self { name, ready, run: Box::new(|shutdown| Box::pin(run(shutdown))) }
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component").field("name", &self.name).finish_non_exhaustive()
    }
}
