//! IPv4 and IPv6: one table serves both, but addresses, fields and sets are of one of them.

use std::net::IpAddr;

use super::expression::Expression;
use super::value::{Field, Type, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    Four,
    Six,
}

impl Family {
    pub const BOTH: [Self; 2] = [Self::Four, Self::Six];

    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::Four } else { Self::Six }
    }

    pub fn digit(self) -> char {
        match self {
            Self::Four => '4',
            Self::Six => '6',
        }
    }

    /// The name of this family's half of a set or map.
    pub fn named(self, name: &str) -> String {
        format!("{name}{}", self.digit())
    }

    pub fn address(self) -> Type {
        match self {
            Self::Four => Type::Ip4,
            Self::Six => Type::Ip6,
        }
    }

    pub fn source(self) -> Field {
        match self {
            Self::Four => Field::Ip4Source,
            Self::Six => Field::Ip6Source,
        }
    }

    pub fn destination(self) -> Field {
        match self {
            Self::Four => Field::Ip4Destination,
            Self::Six => Field::Ip6Destination,
        }
    }

    /// For rules that read nothing of the IP header by which it would be known.
    pub fn only(self) -> Expression {
        let number = match self {
            Self::Four => 2,
            Self::Six => 10,
        };
        Expression::Equal(Field::Family, Value::protocol(number))
    }
}
