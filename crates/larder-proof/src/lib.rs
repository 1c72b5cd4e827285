//! Proofs of larder's promises: models, torture runs and benchmarks. Nothing here is part of the product.

pub mod freshness;
pub mod history;
pub mod model;
pub mod torture;
