//! The proofs: what larder promises, attacked. Nothing here is part of the product.

pub mod model;
