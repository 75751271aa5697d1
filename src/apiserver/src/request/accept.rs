//! The form in which a client wants its answer.

use api::status::Status;
use http::{HeaderMap, header};

/// What an answer may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accept {
    Json,
    /// Columns and cells, as kubectl prints them; of `meta.k8s.io` in this version.
    Table(&'static str),
    /// The metadata alone.
    Partial,
    PartialList,
}

const OFFERED: [&str; 1] = ["application/json"];

impl Accept {
    /// The first of the client's wishes that can be met; JSON for one who wishes nothing.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Status> {
        let mut wished = false;
        for value in headers.get_all(header::ACCEPT) {
            for range in
                value.to_str().unwrap_or_default().split(',').filter(|range| !range.trim().is_empty())
            {
                wished = true;
                if let Some(accept) = Self::met(range) {
                    return Ok(accept);
                }
            }
        }
        if wished { Err(Status::not_acceptable(&OFFERED)) } else { Ok(Self::Json) }
    }

    fn met(range: &str) -> Option<Self> {
        let mut parts = range.split(';').map(str::trim);
        if !matches!(parts.next()?, "application/json" | "application/*" | "*/*") {
            return None;
        }
        let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
        let parameter = |name| parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        match (parameter("as"), parameter("g"), parameter("v")) {
            (None, _, _) => Some(Self::Json),
            (Some("Table"), Some("meta.k8s.io"), Some("v1")) => Some(Self::Table("v1")),
            (Some("Table"), Some("meta.k8s.io"), Some("v1beta1")) => Some(Self::Table("v1beta1")),
            (Some("PartialObjectMetadata"), Some("meta.k8s.io"), Some("v1")) => Some(Self::Partial),
            (Some("PartialObjectMetadataList"), Some("meta.k8s.io"), Some("v1")) => Some(Self::PartialList),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accept: &str) -> Result<Accept, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        Accept::of(&headers).map_err(|status| status.code)
    }

    #[test]
    fn the_first_wish_that_can_be_met_counts() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(of(kubectl), Ok(Accept::Table("v1")));
        assert_eq!(of("application/vnd.kubernetes.protobuf,application/json"), Ok(Accept::Json));
        assert_eq!(of("application/json;as=Table;v=v9;g=meta.k8s.io, application/json"), Ok(Accept::Json));
        assert_eq!(of("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"), Ok(Accept::Partial));
        assert_eq!(of("text/html,*/*;q=0.8"), Ok(Accept::Json));
        assert_eq!(of("application/vnd.kubernetes.protobuf"), Err(406));
        assert_eq!(Accept::of(&HeaderMap::new()), Ok(Accept::Json));
    }
}
