//! What tuning has found out, and what it has changed.

use crate::cache::Cache;
use crate::error::Error;
use crate::tuning::{Advice, MissRatioCurve, TuningChange, TuningMode};

impl Cache {
    /// Whether this cache is tuned; see [`Builder::tuning`](crate::Builder::tuning).
    pub fn tuning_mode(&self) -> TuningMode {
        self.engine.tuner.as_ref().map_or(TuningMode::Off, |tuner| tuner.mode())
    }

    /// What this cache could do better, with the numbers that say so. Empty if tuning is off, if too little was seen yet
    /// (for advice on memory 8,192 sampled reads, which are at least 131,072 reads), or if nothing would save much.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::Error> {
    /// use larder::tuning::Tuning;
    ///
    /// let cache = larder::Cache::builder("docs").tuning(Tuning::advise()).build().await?;
    /// for advice in cache.advice() {
    ///     println!("{}: {advice}", advice.as_str());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn advice(&self) -> Vec<Advice> {
        self.engine.tuner.as_ref().map(|tuner| tuner.advice()).unwrap_or_default()
    }

    /// The miss-ratio curve of all classes, and then that of each class that was read. Empty if tuning is off.
    pub fn miss_ratio_curves(&self) -> Vec<MissRatioCurve> {
        self.engine.tuner.as_ref().map(|tuner| tuner.curves()).unwrap_or_default()
    }

    /// What tuning has changed in this process, the oldest first: the last 64 changes.
    pub fn tuning_changes(&self) -> Vec<TuningChange> {
        self.engine.tuner.as_ref().map(|tuner| tuner.changes()).unwrap_or_default()
    }

    /// What tuning itself takes in memory, beside the [budget](crate::Builder::memory_bytes); 0 if it is off.
    pub fn tuning_memory_bytes(&self) -> u64 {
        self.engine.tuner.as_ref().map_or(0, |tuner| tuner.memory_bytes())
    }

    /// Sets back what a change has set, and returns the change. This process does not tune the setting again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) if there is no such change, it is undone already, or a later
    /// change of the same setting is not undone, the application has set the TTL since, or tuning is off.
    pub fn undo_tuning(&self, id: u64) -> Result<TuningChange, Error> {
        let undone = match &self.engine.tuner {
            Some(tuner) => tuner.undo(id),
            None => Err("tuning is off".to_owned()),
        };
        undone.map_err(|wrong| Error::config(format!("undo_tuning: {wrong}")))
    }
}
