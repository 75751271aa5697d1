//! Rules as lists of expressions, and the kernel's expressions they become.

use ipnet::IpNet;

use super::message::Attributes;
use super::value::{Field, Value, element, joined};

/// The first of the sixteen registers of 32 bits.
const REGISTER: u32 = 8;
/// Where an address and a port are while the first registers hold a source address.
const PLACE: u32 = REGISTER + 4;
const UPDATE: u32 = 1;
const DELETE: u32 = 2;
const EQUAL: u32 = 0;
const UNEQUAL: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Verdict {
    Accept,
    Drop,
    Return,
    Jump(String),
    Goto(String),
}

impl Verdict {
    pub(super) fn encode(&self, data: &mut Attributes<'_>) {
        let (code, chain) = match self {
            Self::Drop => (0, None),
            Self::Accept => (1, None),
            Self::Jump(chain) => (-3_i32, Some(chain)),
            Self::Goto(chain) => (-4, Some(chain)),
            Self::Return => (-5, None),
        };
        data.nested(2, |verdict| {
            verdict.bytes(1, &code.to_be_bytes());
            if let Some(chain) = chain {
                verdict.text(2, chain);
            }
        });
    }
}

/// Where a destination is rewritten to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An address, and a port if that changes too.
    Fixed(std::net::IpAddr, Option<u16>),
    /// What the map holds for these fields: an address, followed by a port if `port`.
    Map { key: Vec<Field>, map: String, six: bool, port: bool },
    /// The address and port that the memory holds for this source address, if the set of places still has them. The
    /// memory's time begins anew.
    Recalled { client: Field, memory: String, places: String },
    /// The address and port that the map holds for this field, from now on kept in the memory for this source address.
    Remembered { client: Field, memory: String, key: Field, map: String },
}

/// One step of a rule; a packet that does not match leaves the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    Equal(Field, Value),
    Unequal(Field, Value),
    /// One of these bits is set: marks, connection states.
    Bits(Field, u32),
    /// The address is, or is not, of this network.
    Network {
        field: Field,
        network: IpNet,
        inside: bool,
    },
    /// The fields together are, or are not, an element of the set.
    Lookup {
        key: Vec<Field>,
        set: String,
        inside: bool,
    },
    /// Does what the verdict map says, if it says something.
    Dispatch {
        key: Vec<Field>,
        map: String,
    },
    /// Sets these bits of the packet's mark.
    Mark(u32),
    /// Clears these bits of the packet's mark.
    Unmark(u32),
    Destination(Target),
    /// Rewrites the source to the address of the outgoing interface, with a port nobody can guess.
    Masquerade,
    Counter,
    /// Answers that the port is unreachable.
    Reject,
    /// Ends the TCP connection. Heard at once, also by a program of this machine that is still inside its call to
    /// connect, to whom an unreachable port is only a hint.
    Reset,
    Verdict(Verdict),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule(pub Vec<Expression>);

impl Rule {
    pub(super) fn encode(&self, list: &mut Attributes<'_>) {
        let mut family = None;
        for expression in &self.0 {
            let needed = expression.fields().iter().find_map(|field| field.family());
            if needed.is_some() && needed != family {
                compare(list, &[Field::Family], EQUAL, &needed.map_or(vec![], |family| vec![family]));
                family = needed;
            }
            expression.encode(list);
        }
    }
}

impl Expression {
    fn fields(&self) -> &[Field] {
        match self {
            Self::Equal(field, _) | Self::Unequal(field, _) | Self::Bits(field, _) => {
                std::slice::from_ref(field)
            }
            Self::Network { field, .. } => std::slice::from_ref(field),
            Self::Lookup { key, .. } | Self::Dispatch { key, .. } => key,
            Self::Destination(Target::Map { key, .. }) => key,
            Self::Destination(Target::Recalled { client, .. } | Target::Remembered { client, .. }) => {
                std::slice::from_ref(client)
            }
            _ => &[],
        }
    }

    fn encode(&self, list: &mut Attributes<'_>) {
        match self {
            Self::Equal(field, value) => compare(list, &[*field], EQUAL, value.bytes()),
            Self::Unequal(field, value) => compare(list, &[*field], UNEQUAL, value.bytes()),
            Self::Bits(field, bits) => {
                load(list, &[*field]);
                bitwise(list, &bits.to_ne_bytes(), &[0; 4]);
                judge(list, UNEQUAL, &[0; 4]);
            }
            Self::Network { field, network, inside } => {
                load(list, &[*field]);
                let mask = Value::from(network.netmask());
                bitwise(list, mask.bytes(), &vec![0; mask.bytes().len()]);
                let operator = if *inside { EQUAL } else { UNEQUAL };
                judge(list, operator, Value::from(network.network()).bytes());
            }
            Self::Lookup { key, set, inside } => lookup(list, key, set, None, !inside),
            Self::Dispatch { key, map } => lookup(list, key, map, Some(0), false),
            Self::Mark(bits) => mark(list, !bits, *bits),
            Self::Unmark(bits) => mark(list, !bits, 0),
            Self::Destination(target) => target.encode(list),
            Self::Masquerade => element(list, "masq", |it| {
                it.be32(1, 16);
            }),
            Self::Counter => element(list, "counter", |it| {
                it.be64(1, 0).be64(2, 0);
            }),
            Self::Reject => element(list, "reject", |it| {
                it.be32(1, 2).bytes(2, &[1]);
            }),
            Self::Reset => element(list, "reject", |it| {
                it.be32(1, 1).bytes(2, &[0]);
            }),
            Self::Verdict(verdict) => element(list, "immediate", |it| {
                it.be32(1, 0).nested(2, |data| verdict.encode(data));
            }),
        }
    }
}

impl Target {
    fn encode(&self, list: &mut Attributes<'_>) {
        match self {
            Self::Fixed(address, port) => {
                immediate(list, REGISTER, Value::from(*address).bytes());
                if let Some(port) = port {
                    let padded = joined(&[Value::port(*port)]);
                    immediate(list, port_register(REGISTER, address.is_ipv6()), &padded);
                }
                translate(list, REGISTER, address.is_ipv6(), port.is_some());
            }
            Self::Map { key, map, six, port } => {
                lookup(list, key, map, Some(REGISTER), false);
                translate(list, REGISTER, *six, *port);
            }
            Self::Recalled { client, memory, places } => {
                lookup(list, &[*client], memory, Some(PLACE), false);
                find(list, PLACE, places, None, false);
                update(list, UPDATE, memory);
                translate(list, PLACE, client.registers() > 1, true);
            }
            Self::Remembered { client, memory, key, map } => {
                lookup(list, &[*key], map, Some(PLACE), false);
                load(list, &[*client]);
                // An update prolongs what is remembered already, and does not change it.
                update(list, DELETE, memory);
                update(list, UPDATE, memory);
                translate(list, PLACE, client.registers() > 1, true);
            }
        }
    }
}

/// Rewrites the destination to the address, and the port behind it, in these registers.
fn translate(list: &mut Attributes<'_>, register: u32, six: bool, port: bool) {
    element(list, "nat", |it| {
        it.be32(1, 1).be32(2, if six { 10 } else { 2 }).be32(3, register);
        if port {
            it.be32(5, port_register(register, six));
        }
    });
}

/// Changes what a memory holds for the source address that is loaded.
fn update(list: &mut Attributes<'_>, operation: u32, memory: &str) {
    element(list, "dynset", |it| {
        it.text(1, memory).be32(3, operation).be32(4, REGISTER).be32(5, PLACE);
    });
}

fn mark(list: &mut Attributes<'_>, kept: u32, set: u32) {
    load(list, &[Field::Mark]);
    bitwise(list, &kept.to_ne_bytes(), &set.to_ne_bytes());
    element(list, "meta", |it| {
        it.be32(2, 3).be32(3, REGISTER);
    });
}

/// The register behind an address.
fn port_register(address: u32, six: bool) -> u32 {
    if six { address + 4 } else { address + 1 }
}

fn load(list: &mut Attributes<'_>, fields: &[Field]) {
    let mut register = REGISTER;
    for field in fields {
        field.load(register, list);
        register += field.registers();
    }
}

fn judge(list: &mut Attributes<'_>, operator: u32, value: &[u8]) {
    element(list, "cmp", |it| {
        it.be32(1, REGISTER).be32(2, operator).nested(3, |data| {
            data.bytes(1, value);
        });
    });
}

fn compare(list: &mut Attributes<'_>, fields: &[Field], operator: u32, value: &[u8]) {
    load(list, fields);
    judge(list, operator, value);
}

fn bitwise(list: &mut Attributes<'_>, mask: &[u8], xor: &[u8]) {
    let length = u32::try_from(mask.len()).expect("a mask is at most an address long");
    element(list, "bitwise", |it| {
        it.be32(1, REGISTER).be32(2, REGISTER).be32(3, length);
        it.nested(4, |data| {
            data.bytes(1, mask);
        });
        it.nested(5, |data| {
            data.bytes(1, xor);
        });
    });
}

fn immediate(list: &mut Attributes<'_>, register: u32, value: &[u8]) {
    element(list, "immediate", |it| {
        it.be32(1, register).nested(2, |data| {
            data.bytes(1, value);
        });
    });
}

fn lookup(list: &mut Attributes<'_>, key: &[Field], set: &str, into: Option<u32>, inverted: bool) {
    load(list, key);
    find(list, REGISTER, set, into, inverted);
}

fn find(list: &mut Attributes<'_>, from: u32, set: &str, into: Option<u32>, inverted: bool) {
    element(list, "lookup", |it| {
        it.text(1, set).be32(2, from);
        if let Some(register) = into {
            it.be32(3, register);
        }
        if inverted {
            it.be32(5, 1);
        }
    });
}
