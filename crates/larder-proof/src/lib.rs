//! Proofs of larder's promises: models explore every order of steps, and torture breaks real servers at random. Nothing
//! here is part of the product.

pub mod freshness;
pub mod history;
pub mod model;
pub mod torture;
