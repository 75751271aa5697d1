//! Content that is named by its SHA-256.

use std::fmt::{self, Write as _};
use std::io::{self, Read};

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

/// `sha256:` and 64 lower-case hexadecimal digits, so that its second half can be a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Digest(String);

#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a digest: sha256: and 64 hexadecimal digits")]
pub(crate) struct NoDigest(String);

const PREFIX: &str = "sha256:";

impl Digest {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self::from_sum(ring::digest::digest(&SHA256, bytes).as_ref())
    }

    fn from_sum(sum: &[u8]) -> Self {
        let mut text = String::from(PREFIX);
        for byte in sum {
            write!(text, "{byte:02x}").expect("writing to a string does not fail");
        }
        Self(text)
    }

    pub(crate) fn from_hex(hex: &str) -> Option<Self> {
        Self::try_from(format!("{PREFIX}{hex}")).ok()
    }

    pub(crate) fn hex(&self) -> &str {
        &self.0[PREFIX.len()..]
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The chain ids of an image's layers, the lowest first.
    pub(crate) fn chains(layers: &[Self]) -> Vec<Self> {
        let mut chains: Vec<Self> = Vec::with_capacity(layers.len());
        for layer in layers {
            chains.push(Self::chain(chains.last(), layer));
        }
        chains
    }

    /// What a layer and all layers below it are called together, by the rules of the OCI image configuration.
    fn chain(below: Option<&Self>, layer: &Self) -> Self {
        match below {
            None => layer.clone(),
            Some(below) => Self::of(format!("{below} {layer}").as_bytes()),
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = NoDigest;

    fn try_from(text: String) -> Result<Self, NoDigest> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match text.strip_prefix(PREFIX) {
            Some(hex) if hex.len() == 64 && hex.bytes().all(is_hex) => Ok(Self(text)),
            _ => Err(NoDigest(text)),
        }
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Passes a stream on and sums it up on the way.
pub(crate) struct Summed<R> {
    stream: R,
    context: Context,
}

impl<R: Read> Summed<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self { stream, context: Context::new(&SHA256) }
    }

    /// The rest of the stream, and the digest of what was read.
    pub(crate) fn into_parts(self) -> (R, Digest) {
        (self.stream, Digest::from_sum(self.context.finish().as_ref()))
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.context.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_stream_has_the_digest_of_its_bytes() {
        let mut summed = Summed::new(&b"layer"[..]);
        io::copy(&mut summed, &mut io::sink()).unwrap();
        assert_eq!(summed.into_parts().1, Digest::of(b"layer"));
        assert_eq!(Digest::of(b"").as_str(), EMPTY);
    }

    #[test]
    fn what_could_leave_its_folder_is_no_digest() {
        let long = "a".repeat(64);
        for text in ["", "sha256:", "sha256:../../x", "sha512:ab", &format!("sha256:{}", long.to_uppercase())]
        {
            assert!(Digest::try_from(text.to_owned()).is_err(), "{text}");
        }
        assert!(Digest::from_hex(&long).is_some());
    }

    /// Worked by hand with sha256sum.
    #[test]
    fn the_lowest_layer_is_its_own_chain() {
        let layer = Digest::of(b"");
        assert_eq!(Digest::chain(None, &layer), layer);
        assert_eq!(Digest::chain(Some(&layer), &layer), Digest::of(format!("{EMPTY} {EMPTY}").as_bytes()));
    }
}
