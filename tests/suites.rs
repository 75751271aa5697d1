//! One integration binary: each module is a suite.

mod clients;
mod control_plane;
mod disks;
mod images;
mod leak_lab;
mod malformed;
mod measure_lab;
mod network_lab;
mod power_lab;
mod process_lab;
mod protobuf;
mod pull;
mod story;
mod workspace;
