//! Proofs of larder's promises: models, torture runs and benchmarks. Nothing here is part of the product.

pub mod bench;
mod cost;
mod figures;
pub mod freshness;
pub mod history;
pub mod model;
mod quantiles;
pub mod scale;
mod site;
mod terminal;
pub mod torture;
