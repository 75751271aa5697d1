//! As much of HTTP/1.1 as a probe or `wget` needs: one request without a body, one answer, end of connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

const HEAD_LIMIT: u64 = 64 << 10;

pub struct Request {
    pub line: String,
    /// As they came, one a line.
    pub headers: String,
}

impl Request {
    pub fn read(stream: &TcpStream) -> io::Result<Self> {
        let mut lines = BufReader::new(stream.take(HEAD_LIMIT)).lines();
        let line = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
        let mut headers = String::new();
        for header in lines {
            let header = header?;
            if header.is_empty() {
                return Ok(Self { line, headers });
            }
            headers += &header;
            headers += "\n";
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    pub fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }
}

pub struct Response {
    pub status: u16,
    pub body: String,
}

impl Response {
    pub fn status(status: u16) -> Self {
        Self { status, body: format!("{status}\n") }
    }

    pub fn write(&self, mut stream: &TcpStream) -> io::Result<()> {
        let Self { status, body } = self;
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status} \r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
    }
}
