//! The rules for names, label values, keys, ports and addresses.
//!
//! Each check returns upstream's sentences for what is wrong; none means valid. Written by hand instead of with regular
//! expressions: the expressions are shown to people in the sentences, but matching them needs no engine.

mod address;
mod dns;
mod label;
mod port;

pub use address::{
    canonical_cidr, canonical_ip, cidr, cidr_warning, interface_address, ip, ip_warning, is_ip,
    is_strictly_within, network, special,
};
pub use dns::{
    label as dns_label, label_1035 as dns_label_1035, subdomain, subdomain_with_underscores,
    wildcard_subdomain,
};
pub use label::{
    c_identifier, condition_reason, config_key, env_name, header_name, http_path, label_value, path_segment,
    qualified_name,
};
pub use port::{decimal_integer, port_name, port_number};

/// Sentences about what is wrong with a name.
pub type Problems = Vec<String>;

pub(crate) const NON_NEGATIVE: &str = "must be greater than or equal to 0";

fn too_long(max: usize) -> String {
    format!("must be no more than {max} bytes")
}

/// `sentence (e.g. 'a',  or 'b', regex used for validation is 'x')`
fn pattern(sentence: &str, regex: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    let shown = match examples.is_empty() {
        true => String::new(),
        false => format!("e.g. {}", examples.join(" or ")),
    };
    format!("{sentence} ({shown}regex used for validation is '{regex}')")
}

pub(crate) fn range(low: i64, high: i64) -> String {
    format!("must be between {low} and {high}, inclusive")
}
