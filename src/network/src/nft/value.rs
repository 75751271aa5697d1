//! What rules read from a packet, and what they compare it with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::Attributes;

/// The type of a key or of data in a set: its length in the kernel and how `nft` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Ip4,
    Ip6,
    Protocol,
    Port,
    /// A number of 32 bits in the host's order: marks and random numbers.
    Number,
    Interface,
}

impl Type {
    /// The number by which nft knows the type.
    pub(super) fn code(self) -> u32 {
        match self {
            Self::Ip4 => 7,
            Self::Ip6 => 8,
            Self::Protocol => 12,
            Self::Port => 13,
            Self::Number => 19,
            Self::Interface => 41,
        }
    }

    pub(super) fn length(self) -> usize {
        match self {
            Self::Protocol => 1,
            Self::Port => 2,
            Self::Ip4 | Self::Number => 4,
            Self::Ip6 | Self::Interface => 16,
        }
    }
}

/// A value in the kernel's form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Value(Vec<u8>);

impl Value {
    pub fn port(port: u16) -> Self {
        Self(port.to_be_bytes().to_vec())
    }

    pub fn protocol(number: u8) -> Self {
        Self(vec![number])
    }

    pub fn number(number: u32) -> Self {
        Self(number.to_ne_bytes().to_vec())
    }

    /// An interface by its whole name; a name longer than the kernel allows is cut.
    pub fn interface(name: &str) -> Self {
        let mut bytes: Vec<u8> = name.bytes().take(15).collect();
        bytes.resize(16, 0);
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Ipv4Addr> for Value {
    fn from(address: Ipv4Addr) -> Self {
        Self(address.octets().to_vec())
    }
}

impl From<Ipv6Addr> for Value {
    fn from(address: Ipv6Addr) -> Self {
        Self(address.octets().to_vec())
    }
}

impl From<IpAddr> for Value {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => address.into(),
        }
    }
}

/// Values one after the other, as a concatenated key or as data.
pub type Data = Vec<Value>;

/// Several values are padded to whole registers, one stays as it is.
pub(super) fn joined(values: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values {
        bytes.extend(value.bytes());
        if values.len() > 1 {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
    }
    bytes
}

/// What a rule can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// 2 is IPv4, 10 is IPv6.
    Family,
    Protocol,
    InputInterface,
    OutputInterface,
    Mark,
    Ip4Source,
    Ip4Destination,
    Ip6Source,
    Ip6Destination,
    /// Only meaningful beside [`Field::Protocol`].
    SourcePort,
    DestinationPort,
    ConnectionState,
    ConnectionStatus,
    /// The routing type of the destination address; 2 is one of this node's own.
    DestinationType,
    /// The same of the source address.
    SourceType,
    /// A number below this one, drawn for each packet.
    Random(u32),
}

impl Field {
    /// The family that a packet must have for the field to be there at all.
    pub(super) fn family(self) -> Option<u8> {
        match self {
            Self::Ip4Source | Self::Ip4Destination => Some(2),
            Self::Ip6Source | Self::Ip6Destination => Some(10),
            _ => None,
        }
    }

    fn length(self) -> usize {
        match self {
            Self::Family | Self::Protocol => 1,
            Self::SourcePort | Self::DestinationPort => 2,
            Self::Ip6Source | Self::Ip6Destination | Self::InputInterface | Self::OutputInterface => 16,
            _ => 4,
        }
    }

    /// How many registers of 32 bits it takes.
    pub(super) fn registers(self) -> u32 {
        if self.length() == 16 { 4 } else { 1 }
    }

    /// Appends the expression that loads the field into this register.
    pub(super) fn load(self, register: u32, list: &mut Attributes<'_>) {
        let meta = |list: &mut Attributes<'_>, key| {
            element(list, "meta", |it| {
                it.be32(2, key).be32(1, register);
            });
        };
        let ct = |list: &mut Attributes<'_>, key| {
            element(list, "ct", |it| {
                it.be32(1, register).be32(2, key);
            });
        };
        let payload = |list: &mut Attributes<'_>, base, offset, length| {
            element(list, "payload", |it| {
                it.be32(1, register).be32(2, base).be32(3, offset).be32(4, length);
            });
        };
        match self {
            Self::Family => meta(list, 15),
            Self::Protocol => meta(list, 16),
            Self::InputInterface => meta(list, 6),
            Self::OutputInterface => meta(list, 7),
            Self::Mark => meta(list, 3),
            Self::Ip4Source => payload(list, 1, 12, 4),
            Self::Ip4Destination => payload(list, 1, 16, 4),
            Self::Ip6Source => payload(list, 1, 8, 16),
            Self::Ip6Destination => payload(list, 1, 24, 16),
            Self::SourcePort => payload(list, 2, 0, 2),
            Self::DestinationPort => payload(list, 2, 2, 2),
            Self::ConnectionState => ct(list, 0),
            Self::ConnectionStatus => ct(list, 2),
            Self::DestinationType => element(list, "fib", |it| {
                it.be32(1, register).be32(2, 3).be32(3, 2);
            }),
            Self::SourceType => element(list, "fib", |it| {
                it.be32(1, register).be32(2, 3).be32(3, 1);
            }),
            Self::Random(below) => element(list, "numgen", |it| {
                it.be32(1, register).be32(2, below).be32(3, 1).be32(4, 0);
            }),
        }
    }
}

/// Appends an expression by its kernel name.
pub(super) fn element(list: &mut Attributes<'_>, name: &str, data: impl FnOnce(&mut Attributes<'_>)) {
    list.nested(1, |element| {
        element.text(1, name).nested(2, data);
    });
}
