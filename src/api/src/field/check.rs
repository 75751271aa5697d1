//! The checks that most rules are made of. Each says what is wrong with one field, in upstream's words.

use super::{Errors, Node};
use crate::names::{self, Problems};

impl Node<'_, '_> {
    /// Holds the string here against a rule for names; an absent one counts as empty.
    pub fn check(&self, rule: fn(&str) -> Problems, errors: &mut Errors) {
        self.complain(rule(self.text()), errors);
    }

    /// [`Node::check`] for names that may be left out.
    pub fn check_given(&self, rule: fn(&str) -> Problems, errors: &mut Errors) {
        if !self.text().is_empty() {
            self.check(rule, errors);
        }
    }

    /// Asks for a string or a list that is not empty.
    pub fn require(&self, errors: &mut Errors) {
        if self.is_zero() {
            errors.push(self.required(""));
        }
    }

    /// One error for each sentence about the text that stands here.
    pub fn complain(&self, problems: Problems, errors: &mut Errors) {
        errors.extend(problems.into_iter().map(|problem| self.invalid_as(self.text(), problem)));
    }

    /// All sentences in one error: some kinds tell it that way.
    pub fn complain_once(&self, problems: &[String], errors: &mut Errors) {
        if !problems.is_empty() {
            errors.push(self.invalid_as(self.text(), problems.join(",")));
        }
    }

    /// A text that must not be empty. Says whether it is there.
    pub fn must_be_set(&self, errors: &mut Errors) -> bool {
        let there = !self.text().is_empty();
        if !there {
            errors.push(self.required(""));
        }
        there
    }

    /// A text that must be there and be spelled as `rule` has it.
    pub fn must_be(&self, rule: fn(&str) -> Problems, errors: &mut Errors) {
        if self.must_be_set(errors) {
            self.check(rule, errors);
        }
    }

    /// One of `words`, which are shown in the order given.
    pub fn must_be_among(&self, words: &[&str], errors: &mut Errors) {
        if self.must_be_set(errors) {
            self.may_be_among(words, errors);
        }
    }

    /// One of `words`, where nothing at all is no word either.
    pub fn only_among(&self, words: &[&str], errors: &mut Errors) {
        if !words.contains(&self.text()) {
            errors.push(self.unsupported(words));
        }
    }

    /// One of `words`, or nothing at all.
    pub fn may_be_among(&self, words: &[&str], errors: &mut Errors) {
        if self.is_set() && !words.contains(&self.text()) {
            errors.push(self.unsupported(words));
        }
    }

    /// `acme.io/foo`
    pub fn must_be_domain_and_path(&self, errors: &mut Errors) {
        if !self.must_be_set(errors) {
            return;
        }
        match self.text().split_once('/') {
            Some((domain, path)) if !domain.is_empty() && !path.is_empty() => {
                let problems = names::subdomain(domain).into_iter().map(|problem| (domain, problem));
                let problems =
                    problems.chain(names::http_path(path).into_iter().map(|problem| (path, problem)));
                errors.extend(problems.map(|(part, problem)| self.invalid_as(part, problem)));
            }
            _ => errors.push(self.invalid("must be a domain-prefixed path (such as \"acme.io/foo\")")),
        }
    }

    /// The items of a list that stood in it before, each an error.
    pub fn no_duplicates(&self, errors: &mut Errors) {
        for (index, item) in self.items().enumerate() {
            if self.list().iter().take(index).any(|before| before == item.value) {
                errors.push(item.duplicate());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_check_says_what_is_wrong() {
        let object = json!({"empty": "", "bad": "A", "word": "x", "list": ["a", "b", "a"]});
        let root = Node::root(&object);
        let mut errors = Errors::new();
        root.at("empty").must_be(names::subdomain, &mut errors);
        root.at("none").must_be_among(&["a"], &mut errors);
        root.at("none").may_be_among(&["a"], &mut errors);
        root.at("none").check_given(names::subdomain, &mut errors);
        root.at("word").may_be_among(&["a", "b"], &mut errors);
        root.at("list").no_duplicates(&mut errors);
        assert_eq!(
            errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "empty: Required value",
                "none: Required value",
                "word: Unsupported value: \"x\": supported values: \"a\", \"b\"",
                "list[2]: Duplicate value: \"a\"",
            ]
        );
        errors.clear();
        root.at("bad").must_be(names::dns_label_1035, &mut errors);
        root.at("bad").complain_once(&["one".into(), "two".into()], &mut errors);
        assert!(errors[0].to_string().starts_with("bad: Invalid value: \"A\": a DNS-1035 label must"));
        assert_eq!(errors[1].to_string(), "bad: Invalid value: \"A\": one,two");
    }
}
