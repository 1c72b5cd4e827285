//! The orders that the orchestrator sends to an instance.

use std::fmt;
use std::str::FromStr;

/// The first word of every line that an instance prints. It prints the first line when it is ready for orders.
pub const READY: &str = "ready";

/// An order, one word on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Write nothing.
    Calm,
    /// Write again.
    Write,
    /// Kill yourself between the next commit and its invalidation.
    DieAfterCommit,
    /// Read every key bounded and fresh, and record these reads as reads after the quiet time.
    ReadAll,
    /// Only answer with the counters, as after every order.
    Count,
}

const WORDS: [(Order, &str); 5] = [
    (Order::Calm, "calm"),
    (Order::Write, "write"),
    (Order::DieAfterCommit, "die-after-commit"),
    (Order::ReadAll, "read-all"),
    (Order::Count, "count"),
];

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = WORDS.iter().find(|(order, _)| order == self).map_or("", |(_, word)| word);
        f.write_str(word)
    }
}

impl FromStr for Order {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        WORDS.iter().find(|(_, word)| *word == text).map(|(order, _)| *order).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_understood_as_they_are_said() {
        for (order, _) in WORDS {
            assert_eq!(order.to_string().parse(), Ok(order));
        }
        assert_eq!("dance".parse::<Order>(), Err(()));
    }
}
