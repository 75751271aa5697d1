//! Rules as lists of expressions, and the kernel's expressions they become.

use ipnet::IpNet;

use super::message::Attributes;
use super::value::{Field, Value, element, joined};

/// The first of the sixteen registers of 32 bits.
const REGISTER: u32 = 8;
const EQUAL: u32 = 0;
const UNEQUAL: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq)]
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
    Destination(Target),
    /// Rewrites the source to the address of the outgoing interface, with a port nobody can guess.
    Masquerade,
    Counter,
    /// Answers that the port is unreachable.
    Reject,
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
            Self::Mark(bits) => {
                load(list, &[Field::Mark]);
                bitwise(list, &(!bits).to_ne_bytes(), &bits.to_ne_bytes());
                element(list, "meta", |it| {
                    it.be32(2, 3).be32(3, REGISTER);
                });
            }
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
            Self::Verdict(verdict) => element(list, "immediate", |it| {
                it.be32(1, 0).nested(2, |data| verdict.encode(data));
            }),
        }
    }
}

impl Target {
    fn encode(&self, list: &mut Attributes<'_>) {
        let (six, port) = match self {
            Self::Fixed(address, port) => {
                let values: Vec<Value> =
                    [Value::from(*address)].into_iter().chain(port.map(Value::port)).collect();
                immediate(list, REGISTER, values[0].bytes());
                if let Some(port) = values.get(1) {
                    immediate(list, port_register(address.is_ipv6()), &joined(std::slice::from_ref(port)));
                }
                (address.is_ipv6(), port.is_some())
            }
            Self::Map { key, map, six, port } => {
                lookup(list, key, map, Some(REGISTER), false);
                (*six, *port)
            }
        };
        element(list, "nat", |it| {
            it.be32(1, 1).be32(2, if six { 10 } else { 2 }).be32(3, REGISTER);
            if port {
                it.be32(5, port_register(six));
            }
        });
    }
}

/// The register behind an address.
fn port_register(six: bool) -> u32 {
    if six { REGISTER + 4 } else { REGISTER + 1 }
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
    element(list, "lookup", |it| {
        it.text(1, set).be32(2, REGISTER);
        if let Some(register) = into {
            it.be32(3, register);
        }
        if inverted {
            it.be32(5, 1);
        }
    });
}
