//! Acting as somebody else, by headers, for who may: `kubectl --as`.

use std::collections::BTreeMap;

use api::status::{self, Status};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use crate::authorize::{Access, Attempt, Authorizer};
use crate::user::{AUTHENTICATED, User};

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";
const AUTHENTICATION: &str = "authentication.k8s.io";
const ANONYMOUS: &str = "system:anonymous";

/// The user that a request acts as: the one behind it, or whom its headers name.
pub(crate) fn user(user: User, headers: &HeaderMap, authorizer: &Authorizer) -> Result<User, Status> {
    let wanted = Wanted::of(headers)?;
    match wanted {
        None => Ok(user),
        Some(wanted) => {
            wanted.check(&user, authorizer)?;
            Ok(wanted.user())
        }
    }
}

/// Whether a header is one of those, which are for this server alone.
pub(crate) fn is_header(name: &HeaderName) -> bool {
    name.as_str().starts_with("impersonate-")
}

/// Whom the headers name.
struct Wanted {
    name: String,
    uid: String,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
}

impl Wanted {
    fn of(headers: &HeaderMap) -> Result<Option<Self>, Status> {
        let all = |name: &str| headers.get_all(name).iter().map(text).collect::<Result<Vec<_>, _>>();
        let first = |name: &str| Ok::<_, Status>(all(name)?.into_iter().next().unwrap_or_default());
        let wanted =
            Self { name: first(USER)?, uid: first(UID)?, groups: all(GROUP)?, extra: extra(headers)? };
        if !wanted.name.is_empty() {
            return Ok(Some(wanted));
        }
        if wanted.uid.is_empty() && wanted.groups.is_empty() && wanted.extra.is_empty() {
            return Ok(None);
        }
        Err(Status::internal(
            "requested impersonation of groups, a UID or extra without impersonating a user",
        ))
    }

    /// Each thing that is claimed must be allowed by itself.
    fn check(&self, user: &User, authorizer: &Authorizer) -> Result<(), Status> {
        let mut claims = vec![match User::account(&self.name) {
            Some((namespace, name)) => claim("", "serviceaccounts", name).within(namespace),
            None => claim("", "users", &self.name),
        }];
        claims.extend(self.groups.iter().map(|group| claim("", "groups", group)));
        claims.extend((!self.uid.is_empty()).then(|| claim(AUTHENTICATION, "uids", &self.uid)));
        for (key, values) in &self.extra {
            claims.extend(values.iter().map(|value| claim(AUTHENTICATION, "userextras", value).below(key)));
        }
        claims.into_iter().try_for_each(|access| {
            let attempt = Attempt::Resource(access);
            if authorizer.allows(user, &attempt) {
                return Ok(());
            }
            let subject = status::Resource { group: access.group, name: access.resource };
            Err(Status::forbidden(subject, access.name.unwrap_or_default(), &attempt.refusal(user)))
        })
    }

    fn user(self) -> User {
        let mut groups = self.groups;
        if let (true, Some((namespace, _))) = (groups.is_empty(), User::account(&self.name)) {
            groups.extend(User::groups_of_accounts(namespace));
        }
        let everyone = if self.name == ANONYMOUS { "system:unauthenticated" } else { AUTHENTICATED };
        if !groups.iter().any(|group| group == everyone) {
            groups.push(everyone.into());
        }
        User { name: self.name, uid: self.uid, groups, extra: self.extra }
    }
}

fn claim<'a>(group: &'a str, resource: &'a str, name: &'a str) -> Access<'a> {
    Access { verb: "impersonate", group, resource, name: Some(name), ..Access::default() }
}

impl<'a> Access<'a> {
    fn within(self, namespace: &'a str) -> Self {
        Self { namespace: Some(namespace), ..self }
    }

    fn below(self, subresource: &'a str) -> Self {
        Self { subresource: Some(subresource), ..self }
    }
}

/// `Impersonate-Extra-KEY: VALUE`; keys are percent-encoded.
fn extra(headers: &HeaderMap) -> Result<BTreeMap<String, Vec<String>>, Status> {
    let mut extra = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in headers {
        let Some(key) = name.as_str().strip_prefix(EXTRA) else { continue };
        let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
        extra.entry(key).or_default().push(text(value)?);
    }
    Ok(extra)
}

/// Names are in any script. What is no text is refused, not passed over: the request would run as who sends it.
fn text(value: &HeaderValue) -> Result<String, Status> {
    let text = std::str::from_utf8(value.as_bytes());
    text.map(Into::into).map_err(|_| Status::bad_request("a header that asks for impersonation is not UTF-8"))
}
