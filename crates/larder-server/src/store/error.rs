//! What can go wrong in the store, as the service sees it.

use larder_sql::error::{Error, ErrorKind};

/// A failure of the store. No variant shows a value of a row.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another user has this value already.
    #[error("this {field} is taken already")]
    Taken {
        /// `email`, `username`, `phone` or `external_id`.
        field: String,
    },
    /// Another program wrote what cannot be read.
    #[error("what the database has in {field} cannot be read")]
    Unreadable {
        /// The column, as the API names it.
        field: String,
    },
    /// The database does not answer; trying again may help.
    #[error(transparent)]
    Unavailable(Error),
    /// The database refused a value that should not have come so far, or the URL cannot be used.
    #[error(transparent)]
    Invalid(Error),
    /// The process is being shut down.
    #[error("the process is being shut down")]
    ShuttingDown,
    /// A mistake of ours: a writer was used after what it wrote had been published.
    #[error("a writer left the write that it was made for")]
    Published,
    /// A mistake of ours.
    #[error(transparent)]
    Internal(Error),
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Unique { column } => Self::Taken { field: column.clone() },
            ErrorKind::Unavailable => Self::Unavailable(error),
            ErrorKind::Check { .. } | ErrorKind::Address(_) => Self::Invalid(error),
            ErrorKind::Declaration(_) | ErrorKind::NoJournal(_) | ErrorKind::Schema(_) | ErrorKind::Other => {
                Self::Internal(error)
            }
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if let sqlx::Error::ColumnDecode { index, .. } = &error {
            // sqlx quotes the names that it was asked for.
            return Self::Unreadable { field: index.trim_matches('"').to_owned() };
        }
        Error::from(error).into()
    }
}
