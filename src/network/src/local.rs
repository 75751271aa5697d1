//! Addresses that every node answers at itself, such as the one of the cluster's name server.
//!
//! They are put on the loopback link: a pod's packet to one comes in through its own link and is delivered here, whichever
//! node that is, and nothing else of the network changes.

use std::net::IpAddr;

use rtnetlink::packet_route::address::AddressScope;

use crate::netlink::{Error, Netlink};

const LOOPBACK: u32 = 1;

/// Has this node answer at these addresses. They stay until the machine restarts: a name server that comes back finds its own.
pub async fn answer_at(addresses: &[IpAddr]) -> Result<(), Error> {
    let kernel = Netlink::open()?;
    for address in addresses {
        kernel.address(LOOPBACK, *address, AddressScope::Host).await?;
    }
    Ok(())
}
