//! One integration binary: each module is a suite.

mod images;
mod network_lab;
mod workspace;
