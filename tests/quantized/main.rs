//! Quantised operators between DequantizeLinear and QuantizeLinear, and as operators of their own:
//! each is computed in integers, and gives what the graph means.

mod layers;
mod net;
mod types;
mod values;
