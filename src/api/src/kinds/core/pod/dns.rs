//! How a pod resolves names.

use crate::field::{Errors, Node};
use crate::names;

/// What libc takes of each.
const SERVERS_MAX: usize = 3;
const SEARCHES_MAX: usize = 32;
const SEARCH_LENGTH_MAX: usize = 2048;

pub(super) fn address(ip: &Node<'_, '_>, errors: &mut Errors) {
    ip.check(names::ip, errors);
}

pub(super) fn config(spec: &Node<'_, '_>, errors: &mut Errors) {
    let config = spec.at("dnsConfig");
    let servers = config.at("nameservers");
    if spec.at("dnsPolicy").text() == "None" {
        if !config.is_set() {
            return errors.push(config.required("must provide `dnsConfig` when `dnsPolicy` is None"));
        }
        if servers.list().is_empty() {
            let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            return errors.push(servers.required(detail));
        }
    }
    if servers.list().len() > SERVERS_MAX {
        errors.push(servers.invalid(format!("must not have more than {SERVERS_MAX} nameservers")));
    }
    servers.items().for_each(|server| address(&server, errors));
    searches(&config.at("searches"), errors);
    for option in config.at("options").items().filter(|option| option.at("name").text().is_empty()) {
        errors.push(option.required("must not be empty"));
    }
}

fn searches(searches: &Node<'_, '_>, errors: &mut Errors) {
    let count = searches.list().len();
    if count > SEARCHES_MAX {
        errors.push(searches.invalid(format!("must not have more than {SEARCHES_MAX} search paths")));
    }
    let letters: usize = searches.items().map(|search| search.text().len()).sum();
    if letters + count.saturating_sub(1) > SEARCH_LENGTH_MAX {
        errors.push(searches.invalid(format!(
            "must not have more than {SEARCH_LENGTH_MAX} characters (including spaces) in the search list"
        )));
    }
    for search in searches.items().filter(|search| search.text() != ".") {
        let domain = search.text().strip_suffix('.').unwrap_or(search.text());
        errors.extend(
            names::subdomain_with_underscores(domain)
                .into_iter()
                .map(|problem| search.invalid_as(domain, problem)),
        );
    }
}

pub(super) fn aliases(aliases: &Node<'_, '_>, errors: &mut Errors) {
    for alias in aliases.items() {
        address(&alias.at("ip"), errors);
        alias.at("hostnames").items().for_each(|name| name.check(names::subdomain, errors));
    }
}
