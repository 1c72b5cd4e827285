//! Measures what larder costs and gains. Nothing here is part of the product. The product is measured with the features
//! with which it ships.

pub mod bench;
mod cost;
mod figures;
mod http;
mod quantiles;
pub mod scale;
mod site;
mod terminal;
