//! Nodes as the cluster sees them: their share of the pod network, whether they live, and what becomes of their pods if not.

pub(crate) mod pod_cidr;
