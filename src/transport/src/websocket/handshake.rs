//! The upgrade, at the accepting end (RFC 6455, section 4).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// Appended to the client's key before it is hashed; says that we know what a WebSocket is, and nothing else.
const ACCEPT: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the request is not a WebSocket handshake: {0}")]
    NoHandshake(&'static str),
    #[error("unable to upgrade: unsupported subprotocols {0:?}")]
    Protocol(Vec<String>),
}

/// Whether a request wants to become a WebSocket.
pub fn is_requested(headers: &HeaderMap) -> bool {
    names(headers, &UPGRADE, "websocket")
}

/// The protocols that the client offers, in its order.
pub fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim).filter(|name| !name.is_empty())
}

/// Agrees to the first protocol that the client offers and that is `supported`, or to none if it offers none and `supported`
/// holds the empty name. Gives the answer to send and the protocol.
pub fn accept(
    headers: &HeaderMap,
    supported: &[&'static str],
) -> Result<(Response<()>, &'static str), Refused> {
    if !names(headers, &CONNECTION, "upgrade") {
        return Err(Refused::NoHandshake("no Connection: Upgrade"));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refused::NoHandshake("not version 13"));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).ok_or(Refused::NoHandshake("no key"))?;
    let protocol = agree(headers, supported)?;
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(SEC_WEBSOCKET_ACCEPT, accepted(key.as_bytes()));
    if !protocol.is_empty() {
        answer.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    }
    Ok((response, protocol))
}

fn agree(headers: &HeaderMap, supported: &[&'static str]) -> Result<&'static str, Refused> {
    let find = |name: &str| supported.iter().copied().find(|supported| *supported == name);
    let mut offers = offered(headers).peekable();
    let agreed = match offers.peek() {
        None => find(""),
        Some(_) => offers.find_map(find),
    };
    agreed.ok_or_else(|| Refused::Protocol(offered(headers).map(ToOwned::to_owned).collect()))
}

/// Whether one of the words of a header is `word`.
fn names(headers: &HeaderMap, header: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(header).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case(word))
}

fn accepted(key: &[u8]) -> HeaderValue {
    let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, ACCEPT.as_bytes()].concat());
    HeaderValue::from_str(&STANDARD.encode(sum)).expect("base64 is made of visible characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let usual = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let all = usual.iter().chain(pairs);
        all.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_example_of_the_standard() {
        let (response, protocol) = accept(&headers(&[]), &[""]).unwrap();
        assert_eq!(response.headers()[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(protocol, "");
        assert!(!response.headers().contains_key(SEC_WEBSOCKET_PROTOCOL));
    }

    #[test]
    fn the_clients_first_choice_that_we_know() {
        let offers = headers(&[("sec-websocket-protocol", "v9.x, v5.channel.k8s.io,v4.channel.k8s.io")]);
        let (response, protocol) = accept(&offers, &["v4.channel.k8s.io", "v5.channel.k8s.io"]).unwrap();
        assert_eq!(protocol, "v5.channel.k8s.io");
        assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], protocol);
        let refused = accept(&offers, &["", "other"]).unwrap_err();
        assert_eq!(
            refused,
            Refused::Protocol(vec!["v9.x".into(), "v5.channel.k8s.io".into(), "v4.channel.k8s.io".into()])
        );
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        assert!(accept(&HeaderMap::new(), &[""]).is_err());
        let mut old = headers(&[]);
        old.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("8"));
        assert_eq!(accept(&old, &[""]).unwrap_err(), Refused::NoHandshake("not version 13"));
    }
}
