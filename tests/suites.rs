//! One integration binary: each module is a suite.

mod workspace;
