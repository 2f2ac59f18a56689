//! Loops and conditionals: what they compute, and their gradients to second order against differences.
#![allow(missing_docs)]

mod arrays;
mod assignments;
mod branches;
mod loops;
mod nests;
mod setup;
