//! Which keys a list or a watch is about.

use std::ops::Bound;

/// A text that ends in `/` means every key below it; any other text means that one key.
///
/// Only whole path segments, never `/registry/pod*`: so an event finds its watchers by looking up the few scopes that
/// contain its key, however many watchers there are.
pub(crate) fn contains(scope: &str, key: &str) -> bool {
    if scope.ends_with('/') { key.starts_with(scope) } else { key == scope }
}

/// Every scope that contains `key`, widest first.
pub(crate) fn around(key: &str) -> impl Iterator<Item = &str> {
    let below = key.match_indices('/').map(|(at, _)| &key[..=at]);
    below.chain((!key.ends_with('/')).then_some(key))
}

/// The first key after everything in `scope`.
pub(crate) fn end(scope: &str) -> Bound<String> {
    match scope.strip_suffix('/') {
        // `0` follows `/` in ASCII: nothing sorts between "a/…" and "a0".
        Some(parent) => Bound::Excluded(format!("{parent}0")),
        None => Bound::Included(scope.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subtree_is_whole_segments() {
        assert!(contains("/pods/default/", "/pods/default/web"));
        assert!(!contains("/pods/default/", "/pods/default-2/web"));
        assert!(contains("/pods/default/web", "/pods/default/web"));
        assert!(!contains("/pods/default/web", "/pods/default/web-1"));
    }

    #[test]
    fn the_scopes_around_a_key_are_those_that_contain_it() {
        let scopes: Vec<&str> = around("/pods/default/web").collect();
        assert_eq!(scopes, ["/", "/pods/", "/pods/default/", "/pods/default/web"]);
        assert!(scopes.iter().all(|scope| contains(scope, "/pods/default/web")));
    }

    #[test]
    fn a_subtree_ends_before_its_next_sibling() {
        assert_eq!(end("/pods/a/"), Bound::Excluded("/pods/a0".into()));
        assert!("/pods/a/~" < "/pods/a0" && "/pods/a-1" < "/pods/a/" && "/pods/a0" <= "/pods/a0");
    }
}
