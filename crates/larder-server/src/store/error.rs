//! The errors of the store, as the service sees them.

use larder_sql::error::{Error, ErrorKind};

/// A failure of the store. No variant holds a value of a row.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another user has this value already.
    #[error("this {field} is taken already")]
    Taken {
        /// `email`, `username`, `phone` or `external_id`.
        field: String,
    },
    /// Another program wrote a value that cannot be read.
    #[error("what the database has in {field} cannot be read")]
    Unreadable {
        /// The name of the column, which is also the name of the field in the API.
        field: String,
    },
    /// The database does not answer; a retry may succeed.
    #[error(transparent)]
    Unavailable(Error),
    /// The database refused a value that should have been checked earlier, or the URL is invalid.
    #[error(transparent)]
    Invalid(Error),
    /// The process is shutting down.
    #[error("the process is being shut down")]
    ShuttingDown,
    /// A fault of this service: a writer was used after its write had been published.
    #[error("a writer was used after its write had been published")]
    Published,
    /// Another fault of this service.
    #[error(transparent)]
    Internal(Error),
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Unique { column } => Self::Taken { field: column.clone() },
            ErrorKind::Unavailable => Self::Unavailable(error),
            ErrorKind::Check { .. } | ErrorKind::Address(_) => Self::Invalid(error),
            _ => Self::Internal(error),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if let sqlx::Error::ColumnDecode { index, .. } = &error {
            // sqlx puts the column's name in quotes.
            return Self::Unreadable { field: index.trim_matches('"').to_owned() };
        }
        Error::from(error).into()
    }
}
