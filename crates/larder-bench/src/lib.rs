//! What larder costs and gains, measured: nothing here is part of the product, and the product is built as it ships.

pub mod bench;
mod cost;
mod figures;
mod quantiles;
pub mod scale;
mod site;
mod terminal;
