//! The proofs: what larder promises, attacked. Nothing here is part of the product.

pub mod freshness;
pub mod history;
pub mod model;
pub mod torture;
