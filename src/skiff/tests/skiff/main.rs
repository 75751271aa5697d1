//! The binary by its public face.

mod check_config;
mod cli;
