//! The binary by its public face. This is not called `skiff`: whoever is, `check-config` takes for skiff itself.

mod check_config;
mod cli;
