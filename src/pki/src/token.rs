//! The join token: what one carries from a server to a new machine.
//!
//! `K10<hash of the server's authority>::<user>:<secret>`, as k3s writes it. The hash lets the machine that joins check,
//! before it says the secret, that it speaks to the right server: trust does not hang on the first connection.

use std::fmt;
use std::io;
use std::path::Path;

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

use crate::file;

const VERSION: &str = "K10";
const SECRET_BYTES: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "a token looks like K10<64 hex digits>::<user>:<secret>, as `skiff token` prints it on the server, or is a secret of your own without spaces and colons"
    )]
    Form,
    #[error(
        "the token is of another cluster: it names the authority {expected}, the server at this address has {found}; `skiff token` there prints the right one"
    )]
    OtherAuthority { expected: String, found: String },
    #[error("cannot read or write the token file {path}")]
    File {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("the kernel gives no random bytes")]
    Random,
}

/// What a machine shows to join.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Hash of the authority's certificate, in hex; absent in the short form, which trusts whoever answers.
    pub authority: Option<String>,
    pub user: String,
    pub secret: String,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("authority", &self.authority)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// With the secret: for token files and for people to copy.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.authority {
            Some(hash) => write!(f, "{VERSION}{hash}::{}:{}", self.user, self.secret),
            None => f.write_str(&self.secret),
        }
    }
}

impl Token {
    /// Reads either form. The short form is the secret alone.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let Some(rest) = text.strip_prefix(VERSION) else {
            return Self::short(text);
        };
        let (hash, credentials) = rest.split_once("::").ok_or(Error::Form)?;
        let (user, secret) = credentials.split_once(':').ok_or(Error::Form)?;
        let hex = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !hex || user.is_empty() || !plain(secret) {
            return Err(Error::Form);
        }
        Ok(Self { authority: Some(hash.to_ascii_lowercase()), user: user.into(), secret: secret.into() })
    }

    fn short(secret: &str) -> Result<Self, Error> {
        if !plain(secret) || secret.contains(':') {
            return Err(Error::Form);
        }
        Ok(Self { authority: None, user: "server".into(), secret: secret.into() })
    }

    /// A new secret for the cluster whose authority has this certificate.
    pub fn generate(user: &str, certificate: &str) -> Result<Self, Error> {
        let mut secret = [0; SECRET_BYTES];
        SystemRandom::new().fill(&mut secret).map_err(|_| Error::Random)?;
        Ok(Self { authority: Some(hash(certificate)), user: user.into(), secret: hex(&secret) })
    }

    /// The token in `path`; made there at the first call.
    pub fn open(path: &Path, user: &str, certificate: &str) -> Result<Self, Error> {
        let failed = |source| Error::File { path: path.display().to_string(), source };
        if let Some(text) = file::read(path).map_err(failed)? {
            return Self::parse(&text);
        }
        let token = Self::generate(user, certificate)?;
        file::write(path, format!("{token}\n").as_bytes(), file::SECRET).map_err(failed)?;
        Ok(token)
    }

    /// The token with a secret that somebody chose, kept in `path` in place of what was there.
    pub fn choose(path: &Path, chosen: &Self, user: &str, certificate: &str) -> Result<Self, Error> {
        chosen.check_authority(certificate)?;
        let secret = chosen.secret.clone();
        let token = Self { authority: Some(hash(certificate)), user: user.into(), secret };
        let failed = |source| Error::File { path: path.display().to_string(), source };
        let text = format!("{token}\n");
        if file::read(path).map_err(failed)?.as_ref() != Some(&text) {
            file::write(path, text.as_bytes(), file::SECRET).map_err(failed)?;
        }
        Ok(token)
    }

    /// Whether the authority that a server shows is the one this token was made for.
    pub fn check_authority(&self, certificate: &str) -> Result<(), Error> {
        let found = hash(certificate);
        match &self.authority {
            Some(expected) if *expected != found => {
                Err(Error::OtherAuthority { expected: expected.clone(), found })
            }
            _ => Ok(()),
        }
    }

    /// Compares the secrets without telling by time how much was right.
    pub fn admits(&self, user: &str, secret: &str) -> bool {
        // Hashes of equal length, so that neither length nor content shows in the time the comparison takes.
        let (ours, theirs) = (digest(&SHA256, self.secret.as_bytes()), digest(&SHA256, secret.as_bytes()));
        let differing = ours.as_ref().iter().zip(theirs.as_ref()).fold(0, |sum, (a, b)| sum | (a ^ b));
        std::hint::black_box(differing) == 0 && self.user == user
    }
}

fn plain(secret: &str) -> bool {
    !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic())
}

fn hash(certificate: &str) -> String {
    hex(digest(&SHA256, certificate.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_text_and_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = Token::open(&path, "server", "the certificate").unwrap();
        assert_eq!(Token::parse(&token.to_string()).unwrap(), token);
        assert_eq!(Token::open(&path, "server", "the certificate").unwrap(), token);
        assert!(!format!("{token:?}").contains(&token.secret), "logs do not show secrets");
    }

    #[test]
    fn a_chosen_secret_takes_the_place_of_a_made_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        Token::open(&path, "server", "the certificate").unwrap();
        let secret = Token::parse("a-secret").unwrap();
        let chosen = Token::choose(&path, &secret, "server", "the certificate").unwrap();
        assert!(chosen.admits("server", "a-secret"));
        assert_eq!(Token::open(&path, "server", "the certificate").unwrap(), chosen);
        assert_eq!(Token::choose(&path, &chosen, "server", "the certificate").unwrap(), chosen);
        assert!(Token::choose(&path, &chosen, "server", "another").is_err());
    }

    #[test]
    fn another_cluster_is_noticed() {
        let token = Token::generate("server", "ours").unwrap();
        assert!(token.check_authority("ours").is_ok());
        assert!(matches!(token.check_authority("theirs"), Err(Error::OtherAuthority { .. })));
        assert!(Token::parse("just-a-secret").unwrap().check_authority("anyone").is_ok());
    }

    #[test]
    fn only_the_right_secret_of_the_right_user_is_admitted() {
        let token = Token::generate("node", "ours").unwrap();
        assert!(token.admits("node", &token.secret));
        assert!(!token.admits("server", &token.secret));
        assert!(!token.admits("node", &token.secret[1..]));
        assert!(!token.admits("node", ""));
    }

    #[test]
    fn what_is_not_a_token_is_refused() {
        let hash = "a".repeat(64);
        for text in [
            "",
            "K10",
            "K10abc::server:x",
            &format!("K10{hash}::server"),
            &format!("K10{hash}:::x"),
            "a b",
            "a:b",
        ] {
            assert!(matches!(Token::parse(text), Err(Error::Form)), "{text:?}");
        }
        assert!(Token::parse(&format!("K10{hash}::server:x\n")).is_ok());
    }
}
