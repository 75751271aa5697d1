//! Tokens: what a registry's authority gives for a login, or for none.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::challenge::Challenge;
use super::connection::{Connection, Query};
use super::error::Error;
use super::session::check;
use crate::image::credentials::Login;

/// Kept until they expire, by what they were asked for.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<Demand, Token>>);

#[derive(Clone, PartialEq, Eq, Hash)]
struct Demand {
    realm: String,
    service: Option<String>,
    scope: String,
    login: Option<Login>,
}

#[derive(Clone)]
struct Token {
    value: HeaderValue,
    /// By the clock that nobody sets.
    expires: Instant,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

const ANSWER_LIMIT: u64 = 1 << 20;
/// When the authority says nothing, by its specification.
const DEFAULT_LIFE: u64 = 60;
/// A token must outlive the request that it is used for.
const MARGIN: Duration = Duration::from_secs(5);

impl Tokens {
    /// What to say in `Authorization`; `None` when there is no login to say it with. `refused` is what was said before.
    pub(super) async fn answer(
        &self,
        challenge: Challenge,
        scope: &str,
        login: Option<&Login>,
        refused: Option<&HeaderValue>,
        connection: &Connection,
    ) -> Result<Option<HeaderValue>, Error> {
        let Challenge::Bearer { realm, service, scope: wanted } = challenge else {
            return Ok(login.and_then(basic));
        };
        let scope = wanted.unwrap_or_else(|| scope.to_owned());
        let demand = Demand { realm, service, scope, login: login.cloned() };
        if let Some(known) = self.find(&demand).filter(|known| Some(known) != refused) {
            return Ok(Some(known));
        }
        let token = demand.fetch(connection).await?;
        let value = token.value.clone();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(demand, token);
        Ok(Some(value))
    }

    fn find(&self, demand: &Demand) -> Option<HeaderValue> {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, token| token.expires > Instant::now());
        tokens.get(demand).map(|token| token.value.clone())
    }
}

impl Demand {
    async fn fetch(&self, connection: &Connection) -> Result<Token, Error> {
        let response = connection.send(self.query(connection)?).await?;
        let response = check(connection, response).await?;
        let bytes = connection.read_all(response.into_body(), ANSWER_LIMIT).await?;
        let no_token = || connection.nonsense("an answer without a token");
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|_| no_token())?;
        let token = answer.token.or(answer.access_token).ok_or_else(no_token)?;
        let life = Duration::from_secs(answer.expires_in.unwrap_or(DEFAULT_LIFE).min(24 * 3600));
        let value = secret(&format!("Bearer {token}")).ok_or_else(no_token)?;
        Ok(Token { value, expires: Instant::now() + life.saturating_sub(MARGIN) })
    }

    /// A password is shown in a header, an identity token is exchanged by a form.
    fn query(&self, connection: &Connection) -> Result<Query, Error> {
        let uri: Uri = self.realm.parse().map_err(|_| connection.nonsense("a realm that is no address"))?;
        if self.login.is_some() && uri.scheme() != Some(&Scheme::HTTPS) && !connection.is_plain() {
            let registry = connection.registry().to_owned();
            return Err(Error::Exposed { registry, realm: self.realm.clone() });
        }
        let mut fields: Vec<(&str, &str)> = vec![("scope", &self.scope)];
        fields.extend(self.service.as_deref().map(|service| ("service", service)));
        let mut headers = HeaderMap::new();
        if let Some(Login::IdentityToken(token)) = &self.login {
            fields.extend([
                ("grant_type", "refresh_token"),
                ("client_id", "skiff"),
                ("refresh_token", token),
            ]);
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            return Ok(Query { method: Method::POST, uri, headers, body: Bytes::from(form(&fields)) });
        }
        headers.extend(self.login.as_ref().and_then(basic).map(|value| (AUTHORIZATION, value)));
        let separator = if self.realm.contains('?') { '&' } else { '?' };
        let uri = format!("{}{separator}{}", self.realm, form(&fields)).parse();
        let uri = uri.map_err(|_| connection.nonsense("a realm that is no address"))?;
        Ok(Query { method: Method::GET, uri, headers, body: Bytes::new() })
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    let fields = fields.iter().map(|(name, value)| format!("{name}={}", encode(value)));
    fields.collect::<Vec<_>>().join("&")
}

/// An identity token is no password: it is good for tokens only.
fn basic(login: &Login) -> Option<HeaderValue> {
    let Login::Password { username, password } = login else { return None };
    secret(&format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))))
}

/// Kept out of logs and of compression.
fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
