//! Headers of streams: deflated, all of a connection as one stream of zlib that begins with a dictionary known to both.
//!
//! Ours need no deflating: the only ones we send are none.

use std::collections::HashMap;

use bytes::Buf;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use super::Error;

/// As far back as deflate may refer.
const WINDOW: usize = 32 * 1024;
/// No headers are longer.
const LONGEST: usize = 16 * 1024;

/// Words that are likely in headers, each after its length in four bytes.
const WORDS: [&str; 65] = [
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
];

/// What follows them in the dictionary.
const PHRASES: &str = concat!(
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505",
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request",
    "401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented",
    "503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 ",
    "Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,",
    "application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=",
    "gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.",
);
/// Its checksum, by which a peer says that it means this one.
const CHECKSUM: u32 = 0xe3c6_a7c2;

fn dictionary() -> Vec<u8> {
    let words = WORDS.iter().flat_map(|word| {
        // The words are short.
        let length = word.len().to_be_bytes();
        [&[0; 3][..], &length[length.len() - 1..], word.as_bytes()].concat()
    });
    words.chain(PHRASES.bytes()).collect()
}

/// What was sent so far is what the next headers refer to.
pub(super) struct Inflater {
    state: Box<DecompressorOxide>,
    window: Vec<u8>,
    position: usize,
    begun: bool,
}

impl Inflater {
    pub(super) fn new() -> Self {
        Self { state: Box::default(), window: vec![0; WINDOW], position: 0, begun: false }
    }

    /// The headers in one frame, by lower-case name. Several values of one name are joined by commas.
    pub(super) fn headers(&mut self, mut deflated: &[u8]) -> Result<HashMap<String, String>, Error> {
        if !self.begun && !deflated.is_empty() {
            self.begin(&mut deflated)?;
        }
        read(&self.inflate(deflated)?)
    }

    /// The beginning of a zlib stream.
    fn begin(&mut self, deflated: &mut &[u8]) -> Result<(), Error> {
        const DEFLATE: u16 = 8;
        const WITH_DICTIONARY: u16 = 0x20;
        let head = deflated.try_get_u16().map_err(|_| Error::Headers)?;
        if head % 31 != 0 || (head >> 8) & 0xf != DEFLATE {
            return Err(Error::Headers);
        }
        if head & WITH_DICTIONARY != 0 {
            if deflated.try_get_u32() != Ok(CHECKSUM) {
                return Err(Error::Headers);
            }
            let dictionary = dictionary();
            self.window[..dictionary.len()].copy_from_slice(&dictionary);
            self.position = dictionary.len();
        }
        self.begun = true;
        Ok(())
    }

    fn inflate(&mut self, mut deflated: &[u8]) -> Result<Vec<u8>, Error> {
        let mut plain = Vec::new();
        loop {
            let (status, read, written) = decompress(
                &mut self.state,
                deflated,
                &mut self.window,
                self.position,
                TINFL_FLAG_HAS_MORE_INPUT,
            );
            plain.extend_from_slice(&self.window[self.position..self.position + written]);
            self.position = (self.position + written) % WINDOW;
            deflated = &deflated[read..];
            match status {
                _ if plain.len() > LONGEST => return Err(Error::Headers),
                TINFLStatus::NeedsMoreInput => return Ok(plain),
                TINFLStatus::HasMoreOutput => {}
                _ => return Err(Error::Headers),
            }
        }
    }
}

fn read(mut plain: &[u8]) -> Result<HashMap<String, String>, Error> {
    let mut headers = HashMap::new();
    if plain.is_empty() {
        return Ok(headers);
    }
    let count = plain.try_get_u32().map_err(|_| Error::Headers)?;
    for _ in 0..count {
        let (name, value) = (text(&mut plain)?, text(&mut plain)?);
        headers.insert(name.to_ascii_lowercase(), value.replace('\0', ","));
    }
    Ok(headers)
}

fn text(plain: &mut &[u8]) -> Result<String, Error> {
    let length = plain.try_get_u32().map_err(|_| Error::Headers)?;
    let length = usize::try_from(length).map_err(|_| Error::Headers)?;
    let (text, rest) = plain.split_at_checked(length).ok_or(Error::Headers)?;
    *plain = rest;
    String::from_utf8(text.to_vec()).map_err(|_| Error::Headers)
}

/// An empty block. Go's inflater hands out what it has at such a block; without one it looks for another block right away, finds
/// the frame's end, and will not read the next frame's headers.
const FLUSH: [u8; 5] = [0, 0, 0, !0, !0];

/// What we send: as a stream of zlib of its own, in blocks that are stored as they are.
#[derive(Debug, Default)]
pub(super) struct Stored {
    begun: bool,
}

impl Stored {
    /// No headers: their count, four bytes of nothing.
    pub(super) fn none(&mut self) -> Vec<u8> {
        const BEGINNING: [u8; 2] = [0x78, 0x01];
        const BLOCK: [u8; 9] = [0, 4, 0, !4, !0, 0, 0, 0, 0];
        let beginning = if self.begun { &[][..] } else { &BEGINNING };
        self.begun = true;
        [beginning, &BLOCK, &FLUSH].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_can_be_inflated() {
        let (mut stored, mut inflater) = (Stored::default(), Inflater::new());
        for _ in 0..3 {
            let headers = stored.none();
            assert!(headers.ends_with(&FLUSH));
            assert!(inflater.headers(&headers).unwrap().is_empty());
        }
    }

    #[test]
    fn the_dictionary_is_the_one_that_peers_mean() {
        let (mut a, mut b) = (1_u32, 0_u32);
        for byte in dictionary() {
            a = (a + u32::from(byte)) % 65_521;
            b = (b + a) % 65_521;
        }
        assert_eq!(b << 16 | a, CHECKSUM);
    }
}
