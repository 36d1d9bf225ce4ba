//! What happens around every request, from the outside in: [`context`] names it, logs it and dresses the answer;
//! [`problems`] writes failures; then actix routes it, and [`admission`] decides whether it reaches its handler.

pub mod address;
pub mod admission;
pub mod allowance;
pub mod context;
pub mod heads;
pub mod negotiation;
pub mod problems;
